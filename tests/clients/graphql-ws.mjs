import { createClient } from 'graphql-ws';
import { upload } from './upload.mjs';

export async function run(url, file, onProgress) {
  const id = await upload(url, file);
  const client = createClient({ url: url.replace(/^http/, 'ws'), shouldRetry: () => true });

  // Every image as it finishes. After a break, continue with the last cursor: nothing is missed, nothing comes twice.
  const images = client.iterate({
    query: `subscription ($id: ID!, $after: String) {
      imageUpdated(requestId: $id, after: $after) { cursor image { inputUrl status } progress { percent } }
    }`,
    variables: { id, after: null },
  });
  for await (const { data, errors } of images) {
    if (errors) throw new Error(errors[0].message);
    onProgress(data.imageUpdated.progress.percent);
  }

  const query = 'query ($id: ID!) { processingRequest(id: $id) { status outputCsvUrl progress { total succeeded } } }';
  for await (const { data } of client.iterate({ query, variables: { id } })) {
    await client.dispose();
    return data.processingRequest;
  }
}
