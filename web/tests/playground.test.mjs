/** The playground in a real browser: every ready operation runs as it stands. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openBrowser, openPage } from './support/browser.mjs';
import { csv, csvFile, startDemo, startOrigin } from './support/halftone.mjs';

let demo;
let origin;
let browser;

before(async () => {
  [demo, origin, browser] = await Promise.all([startDemo(), startOrigin(), openBrowser()]);
});

after(async () => {
  await browser?.close();
  origin?.stop();
  await demo?.stop();
});

/** Runs an operation of the list; its answer, once `shown` is in it. */
async function run(page, title, shown) {
  await page.locator('.operations button', { hasText: title }).click();
  await page.waitForFunction(() => !document.querySelector('.result-window')?.innerText.includes('"'));
  await page.getByRole('button', { name: /^Execute/ }).click();
  const answer = page.locator('.result-window', { hasText: shown });
  await answer.waitFor();
  return answer.innerText();
}

test('every ready operation runs, from the upload to the result', async () => {
  const page = await openPage(browser);
  await page.goto(`${demo.url}/graphql`);
  await page.waitForURL(/\/playground$/);
  const file = csvFile(csv([`${origin.url}/a.jpg`, `${origin.url}/b.jpg`]));

  await page.locator('.operations button', { hasText: 'Check a CSV' }).click();
  const picker = page.locator('.file input');
  await picker.waitFor({ state: 'attached' });
  await run(page, 'Check a CSV', 'Choose a file for $file first');
  await picker.setInputFiles(file);
  await run(page, 'Check a CSV', '"acceptedRowCount": 1');
  await page.locator('.operations button', { hasText: 'Estimate a CSV' }).click();
  await page.locator('.file', { hasText: '$input.file' }).locator('input').setInputFiles(file);
  await run(page, 'Estimate a CSV', '"isFinal": true');
  const uploaded = await run(page, 'Upload a CSV', '"total": 2');
  assert.match(uploaded, /"userErrors": \[\]/);

  for (const transport of ['websocket', 'sse']) {
    await page.getByLabel('Subscriptions over').selectOption(transport);
    await run(page, 'Watch a request', '"status": "COMPLETED"');
    await run(page, 'Watch its images', '"percent": 100');
  }
  for (const [title, shown] of [
    ['The newest requests', '"filename": "spring.csv"'],
    ['What failed, and why', '"failureGroups": []'],
    ['Images and their receipts', '"decision"'],
    ['Products and their new images', 'compressed_a.jpg'],
    ['Result files', '"filename": "spring'],
    ['Limits in force', '"maxImages"'],
  ]) {
    const answer = await run(page, title, shown);
    assert.doesNotMatch(answer, /"errors"/, title);
  }
  await page.checkFaults();
  await page.context().close();
});

test('what somebody wrote is not overwritten, and headers are sent', async () => {
  const page = await openPage(browser);
  await page.goto(`${demo.url}/playground`);
  await page.locator('.graphiql-query-editor .CodeMirror').click();
  await page.keyboard.press('Control+A');
  await page.keyboard.type('{ __typename }');
  await page.getByRole('button', { name: 'Headers' }).click();
  await page.locator('.graphiql-editor-tool .graphiql-editor:not(.hidden) .CodeMirror').click();
  await page.keyboard.insertText('{"x-test": "1"}');
  const sent = page.waitForRequest((request) => request.headers()['x-test'] === '1');
  await page.getByRole('button', { name: /^Execute/ }).click();
  await sent;
  await page.locator('.operations button', { hasText: 'Limits in force' }).click();
  await page.locator('[role=tab], .graphiql-tab').filter({ hasText: 'Limits' }).first().waitFor();
  assert.ok((await page.locator('.graphiql-tab').count()) >= 2);
  await page.checkFaults();
  await page.context().close();
});

test('on a phone the answer has the width of the page', async () => {
  const page = await openPage(browser, { viewport: { width: 390, height: 844 } });
  await page.goto(`${demo.url}/playground`);
  await page.locator('.graphiql-query-editor .CodeMirror', { hasText: 'processingRequests' }).waitFor();
  await page.getByRole('button', { name: /^Execute/ }).click();
  await page.locator('.result-window', { hasText: '"filename"' }).waitFor();
  const [operation, answer] = await Promise.all(
    ['.graphiql-query-editor', '.graphiql-response'].map((part) => page.locator(part).boundingBox()),
  );
  assert.ok(answer.width > 250, `${answer.width} pixels wide`);
  assert.ok(answer.y > operation.y + operation.height, 'below the operation');
  await page.checkFaults();
  await page.context().close();
});

test('the documentation of the schema is there', async () => {
  const page = await openPage(browser);
  await page.goto(`${demo.url}/playground`);
  await page.getByRole('button', { name: /Documentation Explorer/ }).click();
  await page.locator('.graphiql-doc-explorer').getByText('Query', { exact: true }).first().click();
  await page.getByText('processingRequests').first().waitFor();
  await page.checkFaults();
  await page.context().close();
});
