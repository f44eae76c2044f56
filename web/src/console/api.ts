/** The API as the console calls it over HTTP; `live.ts` has the subscriptions that go over a WebSocket. */

import { at } from '../base';
import { keyHeaders } from '../key';
import { cacheExchange, createClient, fetchExchange, mapExchange } from 'urql';
import { noteRefusal } from './KeyForm';

export const client = createClient({
  url: at('/graphql'),
  exchanges: [
    mapExchange({
      onError(error) {
        const refused = error.graphQLErrors.find(({ extensions }) => extensions.code === 'UNAUTHENTICATED');
        if (refused) noteRefusal(refused.message);
      },
    }),
    cacheExchange,
    fetchExchange,
  ],
  requestPolicy: 'cache-and-network',
  preferGetMethod: false,
  // Of subscriptions only the estimate goes this way: it takes a file, which a WebSocket does not.
  fetchSubscriptions: true,
  // Uploads are refused without it: no form of another site can send this header.
  fetchOptions: () => ({ headers: { 'graphql-preflight': '1', ...keyHeaders() } }),
});

/** The paths of the files that we serve. Those in a store that a CDN serves are longer. */
const OURS = /\/(images|thumbnails|sources|results)\/[0-9a-f-]{36}(\/[^/]+){0,2}$/;

/** A file that we serve, at this server, whatever name the API is reached by; one that is elsewhere, there. */
export function here(address: string): string {
  const url = new URL(address, location.href);
  return OURS.test(url.pathname) ? url.pathname + url.search : address;
}

/** What a person reads when a request to the API failed. */
export function sentence(error: {
  message: string;
  networkError?: Error;
  graphQLErrors?: { message: string }[];
}): string {
  if (error.networkError) return 'Halftone does not answer. Is it running?';
  return error.graphQLErrors?.[0]?.message ?? error.message;
}
