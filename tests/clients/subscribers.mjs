/**
 * What many subscribers of one request cost: node tests/clients/subscribers.mjs [subscribers] [images] [pairs]
 *
 * Prints the memory a subscriber takes in a fresh process while the request waits, and the processor time that the server needs
 * for the images without and with them, in turns. Processor time, because on a small machine the subscribers themselves take
 * cores from the server.
 */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { WebSocket } from 'ws';
import { csv, startDemo, startOrigin, upload } from '../../web/tests/support/halftone.mjs';

const subscribers = Number(process.argv[2] ?? 1_000);
const images = Number(process.argv[3] ?? 1_000);
const pairs = Number(process.argv[4] ?? 2);
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

async function run(count, images) {
  const origin = await startOrigin();
  const urls = Array.from({ length: images }, (_, n) => `${origin.url}/held/${n}.jpg`);
  const id = await upload(demo.url, csv(...urls.map((url) => [url])));
  const watchers = [];
  let early;
  for (let made = 0; made < count; made += 50) {
    const some = Array.from({ length: Math.min(50, count - made) }, () => watch(`${demo.url}/graphql`, id));
    await Promise.all(some.map(({ first }) => first));
    watchers.push(...some);
    // What the first ones cost is the process's as well: it is only now what it will be.
    if (!early && watchers.length >= count / 4) early = { ...used(demo.pid), count: watchers.length };
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
  const kib = early && (watched.kib - early.kib) / (watchers.length - early.count);
  return { kib, seconds, wall, snapshots };
}

const demo = await startDemo();
const { kib } = await run(subscribers, Math.min(images, 200)); // warms up, too
console.log(`${subscribers} subscribers of one request: ${kib.toFixed(1)} KiB each`);
for (let pair = 0; pair < pairs; pair += 1) {
  const alone = await run(0, images);
  const crowd = await run(subscribers, images);
  const more = (what) => `${(100 * (crowd[what] / alone[what] - 1)).toFixed(1)} % more`;
  const times = ({ seconds, wall }) => `${seconds.toFixed(2)} s of processor, ${wall.toFixed(1)} s in all`;
  console.log(`${images} images: ${times(alone)}`);
  console.log(`    watched: ${times(crowd)}: ${more('seconds')}, ${more('wall')}`);
  const few = Math.min(...crowd.snapshots);
  const many = Math.max(...crowd.snapshots);
  console.log(`    each was sent ${few} to ${many} snapshots and saw the end`);
}
await demo.stop();
