/** API keys in the pages: asked for once the server needs one, and kept by the tab. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { checkAccessibility, openBrowser, openPage } from './support/browser.mjs';
import { createKey, startDemo } from './support/halftone.mjs';

let demo;
let browser;
let key;

before(async () => {
  [demo, browser] = await Promise.all([startDemo(), openBrowser()]);
  key = await createKey(demo.dataDir, 'admin');
});

after(async () => {
  await browser?.close();
  await demo?.stop();
});

/** Browsers note each answer of 401. */
const expected = [/401/, /WebSocket/];

test('the console asks for a key, refuses a wrong one, and works with the right one', async () => {
  const page = await openPage(browser, { expected });
  await page.goto(demo.request);
  const field = page.getByLabel('API key');
  await page.getByText('This server requires an API key.').waitFor();
  await checkAccessibility(page, 'the form for a key');
  await field.fill('halftone_wrong');
  await page.getByRole('button', { name: 'Use this key' }).click();
  await page.getByText('The bearer token is not a Halftone API key.').waitFor();
  await field.fill(key);
  await page.getByRole('button', { name: 'Use this key' }).click();
  // What is shown live comes over the socket.
  await page.locator('.heading .status', { hasText: 'Completed with errors' }).waitFor();
  await page.locator('.cell').first().waitFor();
  await page.goto(`${demo.url}/system`);
  await page.getByRole('heading', { name: 'Workers' }).waitFor();
  await page.getByRole('button', { name: 'Forget the API key' }).click();
  await page.getByText('This server requires an API key.').waitFor();
  await page.checkFaults();
  await page.context().close();
});

test('the playground sends the key it is given', async () => {
  const page = await openPage(browser, { expected });
  await page.goto(`${demo.url}/playground`);
  const field = page.getByLabel('API key');
  await field.fill(key);
  // As when the page is left before all is stored.
  await page.waitForFunction(() => localStorage.getItem('graphiql:tabState'));
  await page.evaluate(() => localStorage.removeItem('graphiql:query'));
  // The page begins anew; its operation is there once the editor is.
  const answered = page.waitForResponse((response) => response.url().endsWith('/graphql') && response.ok());
  await field.press('Enter');
  await answered;
  await page.locator('.graphiql-query-editor .CodeMirror', { hasText: 'processingRequests' }).waitFor();
  await page.getByRole('button', { name: /Execute query/ }).click();
  await page.locator('.result-window', { hasText: 'processingRequests' }).waitFor();
  assert.equal(await page.evaluate(() => localStorage.getItem('halftone:key')), null);
  await page.checkFaults();
  await page.context().close();
});
