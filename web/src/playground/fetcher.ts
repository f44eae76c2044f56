/** Sends what the playground runs: JSON, multipart when files were chosen, subscriptions over WebSocket or SSE. */

import type { Fetcher, FetcherOpts, FetcherParams } from '@graphiql/toolkit';
import { Kind } from 'graphql';
import { createClient as createSseClient } from 'graphql-sse';
import { createClient as createSocketClient } from 'graphql-ws';
import { type Files, multipart } from './uploads';

export type Transport = 'websocket' | 'sse';

/** What the fetcher reads at each run. */
export interface Choices {
  transport: Transport;
  /** The places of the operation in the editor that take a file. */
  uploadPaths: string[];
  files: Files;
}

const ENDPOINT = '/graphql';

export function createFetcher(choices: () => Choices): Fetcher {
  return (params, options) => {
    if (isSubscription(params, options)) {
      return choices().transport === 'sse' ? subscribeBySse(params, options) : subscribeBySocket(params);
    }
    return send(params, options, choices());
  };
}

function isSubscription(params: FetcherParams, options?: FetcherOpts): boolean {
  const operations =
    options?.documentAST?.definitions.filter((node) => node.kind === Kind.OPERATION_DEFINITION) ?? [];
  const chosen = operations.find(
    (node) => !params.operationName || node.name?.value === params.operationName,
  );
  return chosen?.operation === 'subscription';
}

async function send(params: FetcherParams, options: FetcherOpts | undefined, choices: Choices) {
  const operation = {
    query: params.query,
    variables: (params.variables ?? {}) as Record<string, unknown>,
    operationName: params.operationName ?? undefined,
  };
  const chosen = new Map([...choices.files].filter(([path]) => choices.uploadPaths.includes(path)));
  const headers: Record<string, string> = {
    accept: 'application/graphql-response+json, application/json',
    ...options?.headers,
  };
  let body: BodyInit;
  if (chosen.size > 0 && params.operationName !== 'IntrospectionQuery') {
    // The browser writes the content type with its boundary. The other header is what a foreign form cannot send.
    headers['graphql-preflight'] = '1';
    body = multipart(operation, chosen);
  } else {
    headers['content-type'] = 'application/json';
    body = JSON.stringify(operation);
  }
  const response = await fetch(ENDPOINT, { method: 'POST', headers, body });
  return response.json();
}

function subscribeBySse(params: FetcherParams, options?: FetcherOpts) {
  const client = createSseClient({ url: ENDPOINT, headers: options?.headers ?? {}, retryAttempts: 5 });
  return client.iterate(payload(params)) as never;
}

function subscribeBySocket(params: FetcherParams) {
  const url = new URL(ENDPOINT, location.href);
  url.protocol = url.protocol.replace('http', 'ws');
  // One connection for each run: it ends with the subscription.
  const client = createSocketClient({ url: url.href, lazy: true, shouldRetry: () => true });
  return client.iterate(payload(params)) as never;
}

function payload(params: FetcherParams) {
  return {
    query: params.query,
    variables: params.variables ?? {},
    operationName: params.operationName ?? undefined,
  };
}
