/**
 * What servers MUST do by the protocol graphql-transport-ws,
 * https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md. Each audit throws when the server does otherwise.
 */

import assert from 'node:assert/strict';
import { WebSocket } from 'ws';

const PATIENCE_MS = 20_000;

/** A socket that hands out what it is sent, one message after the other, and how it was closed. */
class Socket {
  #messages = [];
  #waiting = [];

  constructor(url, protocols = 'graphql-transport-ws') {
    this.ws = new WebSocket(url, protocols);
    this.opened = new Promise((resolve, reject) => {
      this.ws.once('open', resolve);
      this.ws.once('error', reject);
    });
    this.opened.catch(() => {});
    this.closed = new Promise((resolve) => {
      this.ws.once('close', (code, reason) => resolve({ code, reason: String(reason) }));
    });
    this.ws.on('message', (data, isBinary) => {
      assert.equal(isBinary, false, 'messages are text');
      const message = JSON.parse(String(data));
      // Either side may ask at any time whether the other is there.
      if (message.type === 'ping') return;
      const waiting = this.#waiting.shift();
      if (waiting) waiting(message);
      else this.#messages.push(message);
    });
  }

  send(message) {
    this.ws.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  next() {
    const [message] = this.#messages.splice(0, 1);
    if (message) return message;
    return within(new Promise((resolve) => this.#waiting.push(resolve)), 'a message');
  }

  end() {
    return within(this.closed, 'the end of the connection');
  }

  async subscribe(id, query, more = {}) {
    this.send({ id, type: 'subscribe', payload: { query, ...more } });
    return this;
  }

  /** The messages of this operation until it ends; those of others are left out. */
  async until(id, type) {
    const messages = [];
    for (;;) {
      const message = await this.next();
      if (message.id !== id) continue;
      messages.push(message);
      if (message.type === type) return messages;
    }
  }
}

async function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come`)), PATIENCE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** `lasting` is a subscription that stays open, `ending` one that ends by itself. */
export function serverAudits({ url, lasting, ending }) {
  const open = async (protocols) => {
    const socket = new Socket(url, protocols);
    await socket.opened;
    return socket;
  };
  const ready = async () => {
    const socket = await open();
    socket.send({ type: 'connection_init' });
    assert.equal((await socket.next()).type, 'connection_ack');
    return socket;
  };
  const closes = async (socket, code, reason) => {
    const end = await socket.end();
    assert.equal(end.code, code, `closed with ${end.code} ${end.reason}`);
    if (reason) assert.match(end.reason, reason);
  };
  const audits = {
    'the subprotocol is chosen when it is offered': async () => {
      assert.equal((await open(['unknown', 'graphql-transport-ws'])).ws.protocol, 'graphql-transport-ws');
    },
    'a connection without the subprotocol is refused or closed with 4406': async () => {
      const socket = new Socket(url, 'graphql-ws');
      const refused = await socket.opened.then(() => false, () => true);
      if (!refused) await closes(socket, 4406);
    },
    'connection_init is acknowledged': async () => {
      await ready();
    },
    'connection_init may have a payload': async () => {
      const socket = await open();
      socket.send({ type: 'connection_init', payload: { token: 'x' } });
      assert.equal((await socket.next()).type, 'connection_ack');
    },
    'a second connection_init closes with 4429': async () => {
      const socket = await ready();
      socket.send({ type: 'connection_init' });
      await closes(socket, 4429, /Too many initialisation requests/);
    },
    'subscribe before connection_init closes with 4401': async () => {
      const socket = await open();
      await socket.subscribe('1', '{ __typename }');
      await closes(socket, 4401, /Unauthorized/);
    },
    'no connection_init closes with 4408': async () => {
      await closes(await open(), 4408, /Connection initialisation timeout/);
    },
    'a ping is answered with a pong, also before connection_init': async () => {
      for (const socket of [await open(), await ready()]) {
        socket.send({ type: 'ping' });
        assert.equal((await socket.next()).type, 'pong');
      }
    },
    'a ping may have a payload': async () => {
      const socket = await ready();
      socket.send({ type: 'ping', payload: { a: 1 } });
      assert.equal((await socket.next()).type, 'pong');
    },
    'a pong needs no answer': async () => {
      const socket = await ready();
      socket.send({ type: 'pong' });
      await socket.subscribe('1', '{ __typename }');
      assert.equal((await socket.next()).type, 'next');
    },
    'a query is a next with the same id, then complete': async () => {
      const socket = await ready();
      await socket.subscribe('own id', '{ __typename }');
      const [next, complete, ...more] = await socket.until('own id', 'complete');
      assert.deepEqual(next, { id: 'own id', type: 'next', payload: { data: { __typename: 'Query' } } });
      assert.deepEqual(complete, { id: 'own id', type: 'complete' });
      assert.deepEqual(more, []);
    },
    'variables and operationName are used': async () => {
      const socket = await ready();
      const query = 'query A { a: __typename } query B($no: Boolean!) { b: __typename @skip(if: $no) c: __typename }';
      await socket.subscribe('1', query, { operationName: 'B', variables: { no: true } });
      assert.deepEqual((await socket.next()).payload, { data: { c: 'Query' } });
    },
    'null for variables, operationName and extensions is as if they were not given': async () => {
      const socket = await ready();
      await socket.subscribe('1', '{ __typename }', { variables: null, operationName: null, extensions: null });
      assert.equal((await socket.next()).type, 'next');
    },
    'a document that is not GraphQL is an error with the same id, and nothing follows': async () => {
      const socket = await ready();
      await socket.subscribe('1', '{');
      const error = await socket.next();
      assert.deepEqual([error.id, error.type], ['1', 'error']);
      assert.ok(Array.isArray(error.payload) && error.payload[0].message);
      await socket.subscribe('2', '{ __typename }');
      assert.equal((await socket.next()).id, '2');
    },
    'a document that does not fit the schema is an error': async () => {
      const socket = await ready();
      await socket.subscribe('1', '{ nothing }');
      assert.equal((await socket.next()).type, 'error');
    },
    'an id is free again after an error and after complete': async () => {
      const socket = await ready();
      await socket.subscribe('1', '{ nothing }');
      await socket.until('1', 'error');
      for (let turn = 0; turn < 2; turn += 1) {
        await socket.subscribe('1', '{ __typename }');
        await socket.until('1', 'complete');
      }
    },
    'an id in use closes with 4409': async () => {
      const socket = await ready();
      await socket.subscribe('same', lasting.query, { variables: lasting.variables });
      assert.equal((await socket.next()).type, 'next');
      await socket.subscribe('same', '{ __typename }');
      await closes(socket, 4409, /Subscriber for same already exists/);
    },
    'the same id is free on another connection': async () => {
      for (const socket of [await ready(), await ready()]) {
        await socket.subscribe('1', lasting.query, { variables: lasting.variables });
        assert.equal((await socket.next()).type, 'next');
      }
    },
    'a subscription that ends by itself is completed': async () => {
      const socket = await ready();
      await socket.subscribe('1', ending.query, { variables: ending.variables });
      const messages = await socket.until('1', 'complete');
      assert.ok(messages.length >= 2 && messages.slice(0, -1).every((message) => message.type === 'next'));
    },
    'complete stops a subscription and frees its id': async () => {
      const socket = await ready();
      await socket.subscribe('1', lasting.query, { variables: lasting.variables });
      assert.equal((await socket.next()).type, 'next');
      socket.send({ id: '1', type: 'complete' });
      await socket.subscribe('1', '{ __typename }');
      const [next] = await socket.until('1', 'complete');
      assert.deepEqual(next.payload, { data: { __typename: 'Query' } });
    },
    'complete for an id that is not in use does nothing': async () => {
      const socket = await ready();
      socket.send({ id: 'gone', type: 'complete' });
      await socket.subscribe('1', '{ __typename }');
      assert.equal((await socket.next()).type, 'next');
    },
    'operations run side by side': async () => {
      const socket = await ready();
      await socket.subscribe('long', lasting.query, { variables: lasting.variables });
      await socket.subscribe('short', '{ __typename }');
      await socket.until('short', 'complete');
    },
  };
  const invalid = {
    'text that is not JSON': '{',
    'JSON that is no object': '[]',
    'no type': '{}',
    'an unknown type': '{"type":"start"}',
    'a type that is no string': '{"type":1}',
    'subscribe without an id': '{"type":"subscribe","payload":{"query":"{__typename}"}}',
    'subscribe with an empty id': '{"type":"subscribe","id":"","payload":{"query":"{__typename}"}}',
    'subscribe without a payload': '{"type":"subscribe","id":"1"}',
    'subscribe without a query': '{"type":"subscribe","id":"1","payload":{}}',
    'a query that is no string': '{"type":"subscribe","id":"1","payload":{"query":1}}',
    'variables that are no object': '{"type":"subscribe","id":"1","payload":{"query":"{__typename}","variables":"x"}}',
    'complete without an id': '{"type":"complete"}',
  };
  for (const [what, message] of Object.entries(invalid)) {
    audits[`${what} closes with 4400`] = async () => {
      const socket = await ready();
      socket.send(message);
      await closes(socket, 4400);
    };
  }
  return Object.entries(audits).map(([name, run]) => ({ name, run }));
}
