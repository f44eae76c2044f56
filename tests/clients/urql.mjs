import { createClient as createSocket } from 'graphql-ws';
import { createClient, fetchExchange, subscriptionExchange } from '@urql/core';

function connect(url) {
  const socket = createSocket({ url: url.replace(/^http/, 'ws') });
  return createClient({
    url,
    preferGetMethod: false,
    fetchOptions: { headers: { 'GraphQL-Preflight': '1' } },
    exchanges: [
      fetchExchange, // sends files in variables as multipart by itself
      subscriptionExchange({
        forwardSubscription: ({ query, variables }) => ({
          subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query: query ?? '', variables }, sink) }),
        }),
      }),
    ],
  });
}

export async function run(url, file, onProgress) {
  const client = connect(url);
  const uploaded = await client.mutation(
    'mutation ($file: Upload!) { uploadCsv(input: { file: $file }) { processingRequest { id } userErrors { message } } }',
    { file },
  );
  if (uploaded.error) throw uploaded.error;
  const { id } = uploaded.data.uploadCsv.processingRequest;

  const watched = 'subscription ($id: ID!) { requestUpdated(id: $id) { status progress { percent } } }';
  await new Promise((resolve) => {
    const { unsubscribe } = client.subscription(watched, { id }).subscribe(({ data, hasNext }) => {
      if (data) onProgress(data.requestUpdated.progress.percent);
      if (!hasNext || data?.requestUpdated.progress.percent === 100) setTimeout(() => (unsubscribe(), resolve()));
    });
  });

  const result = 'query ($id: ID!) { processingRequest(id: $id) { status outputCsvUrl progress { total succeeded } } }';
  const { data, error } = await client.query(result, { id });
  if (error) throw error;
  return data.processingRequest;
}
