/** Sends what the playground runs: JSON, multipart when files were chosen, subscriptions over WebSocket or SSE. */

import type { Fetcher, FetcherOpts, FetcherParams } from '@graphiql/toolkit';
import { type DocumentNode, type GraphQLSchema, Kind, type OperationTypeNode, parse } from 'graphql';
import { createClient as createSseClient } from 'graphql-sse';
import { createClient as createSocketClient } from 'graphql-ws';
import { at } from '../base';
import { keyHeaders } from '../key';
import { type Files, multipart, uploadPaths } from './uploads';

export type Transport = 'websocket' | 'sse';

/** What the fetcher reads at each run. */
export interface Choices {
  transport: Transport;
  /** Once it is known. */
  schema?: GraphQLSchema;
  files: Files;
}

const ENDPOINT = at('/graphql');

export function createFetcher(choices: () => Choices): Fetcher {
  return (params, options) => {
    const operation = read(params);
    const { transport, schema, files } = choices();
    const places = schema && operation.document ? uploadPaths(schema, operation.document) : [];
    const missing = places.find((path) => !files.has(path));
    if (missing) {
      return { errors: [{ message: `Choose a file for $${missing} first, above.` }] } as never;
    }
    const chosen = new Map([...files].filter(([path]) => places.includes(path)));
    if (operation.kind !== 'subscription') return send(operation, options, chosen);
    if (chosen.size > 0) return subscribeWithFiles(operation, options, chosen);
    return transport === 'sse' ? subscribeBySse(operation, options) : subscribeBySocket(operation, options);
  };
}

interface Operation {
  query: string;
  variables: Record<string, unknown>;
  operationName?: string;
  document?: DocumentNode;
  kind?: OperationTypeNode;
}

/** The editor names its operation a moment late: the document itself says which ones it has. */
function read(params: FetcherParams): Operation {
  const operation: Operation = {
    query: params.query,
    variables: (params.variables ?? {}) as Record<string, unknown>,
    operationName: params.operationName ?? undefined,
  };
  try {
    operation.document = parse(params.query);
  } catch {
    return operation; // the server says what is wrong with it
  }
  const operations = operation.document.definitions.filter((node) => node.kind === Kind.OPERATION_DEFINITION);
  const chosen =
    operations.find((node) => node.name?.value === operation.operationName) ??
    (operations.length === 1 ? operations[0] : undefined);
  operation.operationName = chosen ? chosen.name?.value : operation.operationName;
  operation.kind = chosen?.operation;
  return operation;
}

function post(
  operation: Operation,
  options: FetcherOpts | undefined,
  files: Files,
  more: RequestInit & { accept: string },
) {
  const { accept, ...init } = more;
  const headers: Record<string, string> = { accept, ...keyHeaders(), ...options?.headers };
  let body: BodyInit;
  if (files.size > 0) {
    // The browser writes the content type with its boundary. The other header is what a foreign form cannot send.
    headers['graphql-preflight'] = '1';
    body = multipart(payload(operation), files);
  } else {
    headers['content-type'] = 'application/json';
    body = JSON.stringify(payload(operation));
  }
  return fetch(ENDPOINT, { ...init, method: 'POST', headers, body });
}

async function send(operation: Operation, options: FetcherOpts | undefined, files: Files) {
  const response = await post(operation, options, files, {
    accept: 'application/graphql-response+json, application/json',
  });
  return response.json();
}

/** A file goes by POST, and the answers come as Server-Sent Events. */
async function* subscribeWithFiles(operation: Operation, options: FetcherOpts | undefined, files: Files) {
  const stop = new AbortController();
  try {
    const response = await post(operation, options, files, {
      accept: 'text/event-stream',
      signal: stop.signal,
    });
    if (!response.headers.get('content-type')?.startsWith('text/event-stream') || !response.body) {
      yield await response.json();
      return;
    }
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += value;
      const events = text.split('\n\n');
      text = events.pop() ?? '';
      for (const event of events) {
        const data = /^data: ?(.+)$/m.exec(event)?.[1];
        if (data) yield JSON.parse(data);
      }
    }
  } finally {
    stop.abort();
  }
}

function subscribeBySse(operation: Operation, options?: FetcherOpts) {
  const client = createSseClient({
    url: ENDPOINT,
    headers: { ...keyHeaders(), ...options?.headers },
    retryAttempts: 5,
  });
  return client.iterate(payload(operation)) as never;
}

function subscribeBySocket(operation: Operation, options?: FetcherOpts) {
  const url = new URL(ENDPOINT, location.href);
  url.protocol = url.protocol.replace('http', 'ws');
  // One connection for each run: it ends with the subscription.
  const client = createSocketClient({
    url: url.href,
    lazy: true,
    connectionParams: { ...keyHeaders(), ...options?.headers },
    shouldRetry: () => true,
  });
  return client.iterate(payload(operation)) as never;
}

function payload({ query, variables, operationName }: Operation) {
  return { query, variables, operationName };
}
