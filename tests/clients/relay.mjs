import { createClient } from 'graphql-ws';
import runtime from 'relay-runtime';
import RelayQuery from './generated/RelayQuery.graphql.js';
import RelayUploadMutation from './generated/RelayUploadMutation.graphql.js';
import RelaySubscription from './generated/RelaySubscription.graphql.js';

const { Environment, Network, Observable, RecordSource, Store } = runtime;
const { commitMutation, fetchQuery, requestSubscription } = runtime;

function connect(url) {
  const socket = createClient({ url: url.replace(/^http/, 'ws') });

  async function send({ text: query }, variables, _cacheConfig, uploadables) {
    if (!uploadables) {
      const headers = { 'Content-Type': 'application/json' };
      const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
      return response.json();
    }
    // The names of the uploadables are their places in the variables.
    const body = new FormData();
    const names = Object.keys(uploadables);
    body.set('operations', JSON.stringify({ query, variables }));
    body.set('map', JSON.stringify(Object.fromEntries(names.map((name) => [name, [`variables.${name}`]]))));
    for (const name of names) body.set(name, uploadables[name]);
    const response = await fetch(url, { method: 'POST', headers: { 'GraphQL-Preflight': '1' }, body });
    return response.json();
  }

  function subscribe({ text: query }, variables) {
    return Observable.create((sink) => socket.subscribe({ query, variables }, sink));
  }

  return new Environment({ network: Network.create(send, subscribe), store: new Store(new RecordSource()) });
}

export async function run(url, file, onProgress) {
  const environment = connect(url);
  const { uploadCsv } = await new Promise((onCompleted, onError) => {
    const variables = { file: null };
    commitMutation(environment, { mutation: RelayUploadMutation, variables, uploadables: { file }, onCompleted, onError });
  });
  const { id } = uploadCsv.processingRequest;

  await new Promise((onCompleted, onError) => {
    requestSubscription(environment, {
      subscription: RelaySubscription,
      variables: { id },
      onNext: ({ requestUpdated }) => onProgress(requestUpdated.progress.percent),
      onCompleted,
      onError,
    });
  });
  return (await fetchQuery(environment, RelayQuery, { id }).toPromise()).processingRequest;
}
