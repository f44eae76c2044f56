/**
 * Subscriptions that outlive their connection: after a break they begin again with variables that say how far they
 * came. While the page is hidden they rest.
 */

import { type TypedDocumentNode, stringifyDocument } from 'urql';
import { createClient } from 'graphql-ws';
import { at } from '../base';
import { keyHeaders } from '../key';
import { noteRefusal } from './KeyForm';
import { useEffect, useRef, useSyncExternalStore } from 'react';

const ENDPOINT = new URL(at('/graphql'), location.href.replace(/^http/, 'ws')).href;
const PING_MS = 10_000;
const PONG_PATIENCE_MS = 5_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
/** The close code of a server that does not accept the key, or no longer. */
const FORBIDDEN = 4403;

let pongTimer: ReturnType<typeof setTimeout> | undefined;

const socket = createClient({
  url: ENDPOINT,
  connectionParams: keyHeaders,
  lazy: true,
  lazyCloseTimeout: 3_000,
  retryAttempts: 0, // `watch` begins anew itself, from where it was
  keepAlive: PING_MS,
  on: {
    ping: (received) => {
      // A connection that silently died would look like a request in which nothing happens.
      if (!received) pongTimer = setTimeout(() => socket.terminate(), PONG_PATIENCE_MS);
    },
    pong: (received) => {
      if (received) clearTimeout(pongTimer);
    },
    closed: (event) => {
      clearTimeout(pongTimer);
      const { code, reason } = event as CloseEvent;
      if (code === FORBIDDEN) noteRefusal(reason);
    },
  },
});

/** How many subscriptions wait to connect again. */
let broken = 0;
const listeners = new Set<() => void>();

function countBroken(change: number) {
  broken += change;
  for (const listener of listeners) listener();
}

/** Whether what is shown may be old because the connection is lost. */
export function useConnectionLost(): boolean {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => broken > 0,
  );
}

interface Watcher<Data, Variables> {
  document: TypedDocumentNode<Data, Variables>;
  /** Asked at each beginning. */
  variables: () => Variables;
  onData: (data: Data) => void;
  /** The server says that nothing more will come. */
  onEnd?: () => void;
}

/** Watches until the returned function is called or the server ends it. */
export function watch<Data, Variables extends Record<string, unknown>>(
  watcher: Watcher<Data, Variables>,
): () => void {
  /** The subscription in force. What an earlier one still reports is no longer listened to. */
  let current: { stop?: () => void } | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;
  let isBroken = false;
  let done = false;

  function setBroken(value: boolean) {
    if (value !== isBroken) countBroken(value ? 1 : -1);
    isBroken = value;
  }

  function begin() {
    clearTimeout(timer);
    if (done || current || document.hidden) return;
    const mine: { stop?: () => void } = {};
    current = mine;
    let refused = false;
    mine.stop = socket.subscribe<Data>(
      { query: stringifyDocument(watcher.document), variables: watcher.variables() },
      {
        next: (result) => {
          if (current !== mine) return;
          failures = 0;
          setBroken(false);
          if (result.data) watcher.onData(result.data);
          else refused = true;
        },
        error: () => {
          if (current !== mine) return;
          current = undefined;
          setBroken(true);
          timer = setTimeout(begin, Math.min(FIRST_PAUSE_MS * 2 ** failures, LONGEST_PAUSE_MS));
          failures += 1;
        },
        complete: () => {
          if (current !== mine) return;
          end();
          if (!refused) watcher.onEnd?.();
        },
      },
    );
  }

  function rest() {
    const resting = current;
    current = undefined;
    resting?.stop?.();
    setBroken(false);
  }

  function onVisibility() {
    clearTimeout(timer);
    if (document.hidden) rest();
    else begin();
  }

  function end() {
    done = true;
    clearTimeout(timer);
    rest();
    document.removeEventListener('visibilitychange', onVisibility);
    removeEventListener('online', begin);
  }

  document.addEventListener('visibilitychange', onVisibility);
  addEventListener('online', begin);
  begin();
  return end;
}

/** Watches while the component is shown and `watcher` is given; begins anew when `key` changes. */
export function useWatch<Data, Variables extends Record<string, unknown>>(
  key: string,
  watcher: Watcher<Data, Variables> | undefined,
) {
  const latest = useRef(watcher);
  latest.current = watcher;
  const wanted = watcher !== undefined;
  useEffect(() => {
    if (!wanted) return;
    const { document, variables } = latest.current!;
    return watch({
      document,
      variables,
      onData: (data) => latest.current?.onData(data),
      onEnd: () => latest.current?.onEnd?.(),
    });
  }, [key, wanted]);
}
