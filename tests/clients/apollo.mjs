import { ApolloClient, ApolloLink, InMemoryCache, gql } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import UploadHttpLink from 'apollo-upload-client/UploadHttpLink.mjs';
import { createClient } from 'graphql-ws';
import { lastValueFrom, tap } from 'rxjs';

function connect(url) {
  const http = new UploadHttpLink({ uri: url, headers: { 'Apollo-Require-Preflight': 'true' } });
  const ws = new GraphQLWsLink(createClient({ url: url.replace(/^http/, 'ws') }));
  return new ApolloClient({
    link: ApolloLink.split(({ operationType }) => operationType === 'subscription', ws, http),
    // Objects without an id belong to the object they are in; each operation may select other fields of them.
    cache: new InMemoryCache({
      typePolicies: {
        Progress: { merge: true },
        Savings: { merge: true },
        CsvReport: { merge: true },
        CompressionSettings: { merge: true },
      },
    }),
  });
}

const UPLOAD = gql`
  mutation ($file: Upload!) {
    uploadCsv(input: { file: $file }) { processingRequest { id } userErrors { message } }
  }
`;
const WATCH = gql`
  subscription ($id: ID!) { requestUpdated(id: $id) { id status progress { percent } } }
`;
const RESULT = gql`
  query ($id: ID!) { processingRequest(id: $id) { id status outputCsvUrl progress { total succeeded } } }
`;

export async function run(url, file, onProgress) {
  const client = connect(url);
  const uploaded = await client.mutate({ mutation: UPLOAD, variables: { file } });
  const { processingRequest, userErrors } = uploaded.data.uploadCsv;
  if (!processingRequest) throw new Error(userErrors[0].message);
  const { id } = processingRequest;

  const updates = client.subscribe({ query: WATCH, variables: { id } });
  await lastValueFrom(updates.pipe(tap(({ data }) => onProgress(data.requestUpdated.progress.percent))));

  const { data } = await client.query({ query: RESULT, variables: { id }, fetchPolicy: 'network-only' });
  return data.processingRequest;
}
