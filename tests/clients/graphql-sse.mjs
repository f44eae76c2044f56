import { GraphQLClient } from 'graphql-request';
import { createClient } from 'graphql-sse';
import { upload } from './upload.mjs';

export async function run(url, file, onProgress) {
  const id = await upload(url, file);

  const events = createClient({ url });
  const updates = events.iterate({
    query: 'subscription ($id: ID!) { requestUpdated(id: $id) { status progress { percent } } }',
    variables: { id },
  });
  for await (const { data, errors } of updates) {
    if (errors) throw new Error(errors[0].message);
    onProgress(data.requestUpdated.progress.percent);
  }

  const client = new GraphQLClient(url);
  const query = 'query ($id: ID!) { processingRequest(id: $id) { status outputCsvUrl progress { total succeeded } } }';
  return (await client.request(query, { id })).processingRequest;
}
