/** A Halftone of its own for the tests, and a host for its images. */

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer, request as ask } from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const program = process.env.HALFTONE_BIN ?? join(root, 'target/debug/halftone');

export const photo = readFileSync(join(root, 'demo/photos/espresso-cup.jpg'));

/** `halftone demo`, ready when its catalogue has been uploaded. */
export async function startDemo(...more) {
  const dataDir = await mkdtemp(join(tmpdir(), 'halftone-web-'));
  // Started as root, Halftone runs its database as another user, who has to get there.
  await chmod(dataDir, 0o755);
  const child = spawn(
    program,
    [
      'demo',
      ...(more.includes('--listen') ? [] : ['--listen', '127.0.0.1:0']),
      '--data-dir',
      dataDir,
      ...more,
    ],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const lines = createInterface({ input: child.stdout });
  const request = await new Promise((resolve, reject) => {
    lines.on('line', (line) => {
      const found = /^Watch it: +(\S+)/.exec(line);
      if (found) resolve(found[1]);
    });
    child.once('exit', (code) => reject(new Error(`halftone demo ended with ${code}`)));
    child.once('error', reject);
  });
  return {
    dataDir,
    pid: child.pid,
    /** As its public URL says. */
    url: request.slice(0, request.indexOf('/requests/')),
    request,
    async stop() {
      if (child.exitCode === null) {
        child.kill('SIGTERM');
        await once(child, 'exit');
      }
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** Waits for the end of a request. */
export async function untilEnded(url, id) {
  const query = 'subscription ($id: ID!) { requestUpdated(id: $id) { status } }';
  const answer = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
    body: JSON.stringify({ query, variables: { id } }),
  });
  await answer.text();
}

/** A process more on this data directory. */
export function startWorker(dataDir, ...more) {
  const child = spawn(program, ['work', '--data-dir', dataDir, '--log', 'warn', ...more], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = once(child, 'exit');
  return {
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** As if a request had ended so much earlier. */
export async function age(dataDir, id, time) {
  const statement = `UPDATE processing_requests SET finished_at = finished_at - interval '${time}' WHERE id = '${id}'`;
  const database = ['-h', join(dataDir, 'postgres/run'), '-U', 'halftone', '-d', 'halftone'];
  await promisify(execFile)('psql', [...database, '-v', 'ON_ERROR_STOP=1', '-c', statement]);
}

/** Makes an API key for a Halftone with this data directory, of the tenant whose requests those without a key made. */
export async function createKey(dataDir, scope) {
  const { stdout } = await promisify(execFile)(program, [
    ...['keys', 'create', '--name', 'test', '--scope', scope],
    ...['--data-dir', dataDir],
  ]);
  return stdout.trim();
}

/** Uploads a CSV with this input beside it; the request's id. */
export async function upload(url, content, input = {}) {
  const query = `mutation ($input: UploadCsvInput!) {
    uploadCsv(input: $input) { processingRequest { id } userErrors { message } }
  }`;
  const body = new FormData();
  body.set('operations', JSON.stringify({ query, variables: { input: { ...input, file: null } } }));
  body.set('map', JSON.stringify({ 0: ['variables.input.file'] }));
  body.set('0', new File([content], input.label ? `${input.label}.csv` : 'products.csv'));
  const answer = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'graphql-preflight': '1' },
    body,
  });
  const { data, errors } = await answer.json();
  if (!data?.uploadCsv.processingRequest) throw new Error(JSON.stringify(errors ?? data));
  return data.uploadCsv.processingRequest.id;
}

/**
 * An image host: `/held/…` waits for `open()`, `/busy/…` asks for a pause of an hour, `/missing/…` is not there and `/page/…`
 * a web page until `repair()`, everything else is a photo.
 */
export async function startOrigin() {
  let open;
  let isRepaired = false;
  const opened = new Promise((resolve) => {
    open = resolve;
  });
  const server = createServer(async (request, response) => {
    if (request.url.startsWith('/page/') && !isRepaired) {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Log in</title>');
      return;
    }
    if (request.url.startsWith('/missing/') && !isRepaired) {
      response.writeHead(404).end();
      return;
    }
    if (request.url.startsWith('/busy/')) {
      response.writeHead(429, { 'retry-after': '3600' }).end();
      return;
    }
    if (request.url.startsWith('/held/')) await opened;
    response.writeHead(200, { 'content-type': 'image/jpeg' }).end(photo);
  });
  server.listen(0, '127.0.0.1').unref();
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    open,
    repair() {
      isRepaired = true;
    },
    stop() {
      open();
      server.closeAllConnections();
      server.close();
    },
  };
}

/** A way to a server that can be cut and mended. */
export async function startWire(target) {
  const { hostname, port } = new URL(target);
  const sockets = new Set();
  let isCut = false;
  const server = net.createServer((socket) => {
    if (isCut) {
      socket.destroy();
      return;
    }
    const onward = net.connect(Number(port), hostname);
    for (const each of [socket, onward]) {
      sockets.add(each);
      each.on('error', () => {});
      each.on('close', () => {
        sockets.delete(each);
        socket.destroy();
        onward.destroy();
      });
    }
    socket.pipe(onward).pipe(socket);
  });
  server.listen(0, '127.0.0.1').unref();
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    cut() {
      isCut = true;
      for (const socket of sockets) socket.destroy();
    },
    mend() {
      isCut = false;
    },
    stop() {
      this.cut();
      server.close();
    },
  };
}

/** An address that is free now. */
export async function freeAddress() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return `127.0.0.1:${port}`;
}

/** A proxy that serves what `target` has below `path`; `keeps`: it passes the path on. */
export async function startProxy(target, path, keeps) {
  const forward = (request) => {
    if (request.url !== path && !request.url.startsWith(`${path}/`)) return undefined;
    const { hostname, port } = new URL(target);
    const rest = keeps ? request.url : request.url.slice(path.length) || '/';
    return { hostname, port, path: rest, method: request.method, headers: request.headers };
  };
  const server = createServer((request, response) => {
    const options = forward(request);
    if (!options) {
      response.writeHead(404).end();
      return;
    }
    const onward = ask(options, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });
  server.on('upgrade', (request, socket) => {
    const options = forward(request);
    if (!options) {
      socket.destroy();
      return;
    }
    const onward = net.connect(Number(options.port), options.hostname);
    for (const [one, other] of [
      [socket, onward],
      [onward, socket],
    ]) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
    const lines = Object.entries(options.headers).map(([name, value]) => `${name}: ${value}`);
    onward.write([`GET ${options.path} HTTP/1.1`, ...lines, '', ''].join('\r\n'));
    socket.pipe(onward).pipe(socket);
  });
  server.listen(0, '127.0.0.1').unref();
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${server.address().port}${path}`,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** A CSV of products, each with these image URLs. */
export function csv(...products) {
  const rows = products.map((urls, index) => `${index + 1},Product ${index + 1},"${urls.join(', ')}"`);
  return ['S. No,Product Name,Input Image Urls', ...rows, ''].join('\n');
}

/** A file for a file picker. */
export function csvFile(content, name = 'spring.csv') {
  return { name, mimeType: 'text/csv', buffer: Buffer.from(content) };
}
