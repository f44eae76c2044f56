/** Each client uploads, watches to the end, reads the result and downloads it, as its page in docs/clients.md says. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ESLint } from 'eslint';
import { serverAudits } from 'graphql-http';
import { WebSocket } from 'ws';
import { csv, startDemo, startOrigin } from '../../web/tests/support/halftone.mjs';
import { serverAudits as transportWsAudits } from './transport-ws-audit.mjs';
import { upload } from './upload.mjs';

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

for (const name of ['apollo', 'apollo-http', 'urql', 'relay', 'graphql-ws', 'graphql-sse']) {
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

test('graphql-eslint finds nothing in the schema and in the documents of the console', async () => {
  const eslint = new ESLint({
    cwd: fileURLToPath(here('../..')),
    overrideConfigFile: fileURLToPath(here('eslint.config.mjs')),
  });
  const results = await eslint.lintFiles(['schema.graphql', 'web/src/console/*.graphql']);
  const found = results.flatMap(({ filePath, messages }) =>
    messages.map(({ line, ruleId, message }) => `${filePath}:${line} ${ruleId}: ${message}`),
  );
  assert.deepEqual(found, []);
  assert.equal(results.length, 2);
});

test('graphql-transport-ws: the server does what it must', { timeout: 120_000 }, async () => {
  const held = await startOrigin();
  const file = (...urls) => new File([csv(urls)], 'products.csv', { type: 'text/csv' });
  const running = await upload(endpoint, file(`${held.url}/held/a.jpg`));
  const ended = await upload(endpoint, file(`${origin.url}/a.jpg`));
  const query = 'subscription ($id: ID!) { requestUpdated(id: $id) { status } }';
  const audits = transportWsAudits({
    url: endpoint.replace(/^http/, 'ws'),
    lasting: { query, variables: { id: running } },
    ending: { query, variables: { id: ended } },
  });
  const failed = [];
  await Promise.all(
    audits.map(({ name, run }) => run().catch((error) => failed.push(`${name}: ${error.message}`))),
  );
  held.stop();
  assert.deepEqual(failed, []);
  assert.ok(audits.length >= 33, `${audits.length} audits`);
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
