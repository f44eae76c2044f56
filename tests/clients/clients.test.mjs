/** Each client uploads, watches to the end, reads the result and downloads it, as its page in docs/clients.md says. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { serverAudits } from 'graphql-http';
import { WebSocket } from 'ws';
import { csv, startDemo, startOrigin } from '../../web/tests/support/halftone.mjs';

// Browsers and Node 22 have one.
globalThis.WebSocket ??= WebSocket;

const here = (name) => new URL(name, import.meta.url);
const exec = promisify(execFile);
let demo;
let origin;
let endpoint;

before(async () => {
  [demo, origin] = await Promise.all([startDemo(), startOrigin()]);
  endpoint = `${demo.url}/graphql`;
  await mkdir(here('generated'), { recursive: true });
  await exec('npx', ['--no-install', 'relay-compiler', 'relay.config.json'], { cwd: here('.') });
});

after(async () => {
  origin?.stop();
  await demo?.stop();
});

async function checkResult(result, percents) {
  assert.equal(result.status, 'COMPLETED');
  assert.deepEqual({ ...result.progress, __typename: undefined }, { total: 2, succeeded: 2, __typename: undefined });
  assert.equal(percents.at(-1), 100);
  assert.deepEqual(percents, [...percents].sort((a, b) => a - b));
  const output = await fetch(result.outputCsvUrl);
  assert.equal(output.status, 200);
  assert.match(await output.text(), /compressed_b\.jpg/);
}

for (const name of ['apollo', 'urql', 'relay', 'graphql-ws', 'graphql-sse']) {
  test(`${name}: upload, watch, query, download`, { timeout: 120_000 }, async () => {
    const { run } = await import(here(`${name}.mjs`));
    const content = csv([`${origin.url}/a.jpg`, `${origin.url}/b.jpg`]);
    const percents = [];
    const result = await run(endpoint, new File([content], 'products.csv', { type: 'text/csv' }), (percent) => {
      percents.push(percent);
    });
    await checkResult(result, percents);
  });
}

const python = here('venv/bin/python').pathname;
const noPython = existsSync(python) ? false : 'there is no venv; ./dev clients makes it';
test('Python gql: upload, watch, query, download', { skip: noPython, timeout: 120_000 }, async () => {
  const directory = await mkdtemp(join(tmpdir(), 'halftone-clients-'));
  const path = join(directory, 'products.csv');
  await writeFile(path, csv([`${origin.url}/a.jpg`, `${origin.url}/b.jpg`]));
  const { stdout } = await exec(python, [here('python_gql.py').pathname, endpoint, path]);
  const { result, percents } = JSON.parse(stdout);
  await checkResult(result, percents);
  await rm(directory, { recursive: true });
});

test('graphql-codegen types every scalar strictly', async () => {
  await exec('npx', ['--no-install', 'graphql-codegen', '--config', 'codegen.ts'], { cwd: here('.') });
  const types = await readFile(here('generated/schema.ts'), 'utf8');
  assert.match(types, /UnsignedInt53: \{ input: number; output: number; \}/);
  // oneOf: exactly one of the ways to compress.
  assert.match(types, /quality: Scalars\['Int'\]\['input'\]; relativeQuality\?: never;/);
  assert.doesNotMatch(types, /\bany; output|: any\b/);
});

test('the audit of GraphQL over HTTP passes', async () => {
  const audits = serverAudits({ url: endpoint, fetchFn: fetch });
  const failed = [];
  for (const audit of audits) {
    const result = await audit.fn();
    if (result.status !== 'ok') failed.push(`${audit.id} ${audit.name}: ${result.reason}`);
  }
  assert.deepEqual(failed, []);
  assert.ok(audits.length >= 61, `${audits.length} audits`);
});
