import { ApolloClient, HttpLink, InMemoryCache, gql } from '@apollo/client';
import { lastValueFrom, tap } from 'rxjs';
import { upload } from './upload.mjs';

const WATCH = gql`
  subscription ($id: ID!) { requestUpdated(id: $id) { id status progress { percent } } }
`;
const RESULT = gql`
  query ($id: ID!) { processingRequest(id: $id) { id status outputCsvUrl progress { total succeeded } } }
`;

export async function run(url, file, onProgress) {
  const id = await upload(url, file);
  const cache = new InMemoryCache({ typePolicies: { Progress: { merge: true } } });
  const client = new ApolloClient({ link: new HttpLink({ uri: url }), cache });

  const updates = client.subscribe({ query: WATCH, variables: { id } });
  await lastValueFrom(updates.pipe(tap(({ data }) => onProgress(data.requestUpdated.progress.percent))));

  const { data } = await client.query({ query: RESULT, variables: { id }, fetchPolicy: 'network-only' });
  return data.processingRequest;
}
