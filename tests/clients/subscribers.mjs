/**
 * What many subscribers of one request cost: node tests/clients/subscribers.mjs [subscribers] [images]
 *
 * Prints the memory a subscriber takes while the request waits, and the processor time that the server needs for its images
 * with and without them. Processor time, because on a small machine the subscribers themselves take cores from the server.
 */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { WebSocket } from 'ws';
import { csv, startDemo, startOrigin, upload } from '../../web/tests/support/halftone.mjs';

const subscribers = Number(process.argv[2] ?? 1_000);
const images = Number(process.argv[3] ?? 1_000);
const QUERY = 'subscription ($id: ID!) { requestUpdated(id: $id) { status progress { succeeded percent } } }';

const ticks = Number(execFileSync('getconf', ['CLK_TCK']));

/** What the process has used so far. */
function used(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return {
    kib: Number(/VmRSS:\s+(\d+)/.exec(status)[1]),
    seconds: (Number(stat[11]) + Number(stat[12])) / ticks,
  };
}

/** A socket that watches the request; `first` at its first snapshot, `done` at the end, with the number of snapshots. */
function watch(url, id) {
  const socket = new WebSocket(url.replace(/^http/, 'ws'), 'graphql-transport-ws');
  let snapshots = 0;
  let last;
  let begin;
  const first = new Promise((resolve) => {
    begin = resolve;
  });
  const done = new Promise((resolve, reject) => {
    socket.on('open', () => socket.send('{"type":"connection_init"}'));
    socket.on('error', reject);
    socket.on('close', (code) => reject(new Error(`closed with ${code} after ${snapshots} snapshots`)));
    socket.on('message', (data) => {
      const message = JSON.parse(data);
      if (message.type === 'connection_ack') {
        socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query: QUERY, variables: { id } } }));
      } else if (message.type === 'ping') {
        socket.send('{"type":"pong"}');
      } else if (message.type === 'next') {
        snapshots += 1;
        last = message.payload.data.requestUpdated;
        begin();
      } else if (message.type === 'complete') {
        socket.removeAllListeners('close');
        socket.close();
        if (last.status === 'COMPLETED') resolve(snapshots);
        else reject(new Error(`ended as ${last.status}`));
      }
    });
  });
  done.catch(() => {});
  return { first, done };
}

async function run(count) {
  const origin = await startOrigin();
  const urls = Array.from({ length: images }, (_, n) => `${origin.url}/held/${n}.jpg`);
  const id = await upload(demo.url, csv(...urls.map((url) => [url])));
  const before = used(demo.pid);
  const watchers = [];
  for (let made = 0; made < count; made += 50) {
    const some = Array.from({ length: Math.min(50, count - made) }, () => watch(`${demo.url}/graphql`, id));
    await Promise.all(some.map(({ first }) => first));
    watchers.push(...some);
  }
  const watched = used(demo.pid);
  const began = performance.now();
  const one = watch(`${demo.url}/graphql`, id);
  origin.open();
  await one.done;
  const wall = (performance.now() - began) / 1000;
  const snapshots = await Promise.all(watchers.map(({ done }) => done));
  const seconds = used(demo.pid).seconds - watched.seconds;
  origin.stop();
  return { kib: (watched.kib - before.kib) / Math.max(count, 1), seconds, wall, snapshots };
}

const demo = await startDemo();
await run(0); // warms up
const alone = await run(0);
const crowd = await run(subscribers);
const again = await run(0);
const baseline = (alone.seconds + again.seconds) / 2;
const few = Math.min(...crowd.snapshots);
const many = Math.max(...crowd.snapshots);
console.log(`${subscribers} subscribers of one request of ${images} images`);
console.log(`memory a subscriber: ${crowd.kib.toFixed(1)} KiB`);
console.log(`server's processor time alone: ${alone.seconds.toFixed(2)} s and ${again.seconds.toFixed(2)} s`);
console.log(`                  with them: ${crowd.seconds.toFixed(2)} s, ${(100 * (crowd.seconds / baseline - 1)).toFixed(1)} % more`);
console.log(`wall time: ${alone.wall.toFixed(1)} s and ${again.wall.toFixed(1)} s alone, ${crowd.wall.toFixed(1)} s with them`);
console.log(`each was sent ${few} to ${many} snapshots and saw the end`);
await demo.stop();
