/** Outputs and requests that are kept for a limited time: the pages say until when, and what was removed. */

import { after, before, test } from 'node:test';
import { checkAccessibility, openBrowser, openPage } from './support/browser.mjs';
import { age, csv, startDemo, startOrigin, startWorker, upload } from './support/halftone.mjs';

const KEPT = ['--keep-outputs', '40d', '--keep-requests', '365d'];

let demo;
let origin;
let browser;

before(async () => {
  [demo, origin, browser] = await Promise.all([startDemo(...KEPT), startOrigin(), openBrowser()]);
});

after(async () => {
  await browser?.close();
  origin?.stop();
  await demo?.stop();
});

test('a request says until when its images are kept, and when they have been removed', async () => {
  const id = await upload(demo.url, csv([`${origin.url}/a.jpg`]));
  const page = await openPage(browser);
  await page.goto(`${demo.url}/requests/${id}`);
  await page.getByText('The compressed images are kept until').waitFor();
  await page.getByText('This request is deleted on').waitFor();
  await page.getByRole('link', { name: /^a\.jpg\s*: Done/ }).click();
  await page.getByText('Kept until').waitFor();

  await age(demo.dataDir, id, '41 days');
  // A process that starts removes at once what has outlived its time.
  const worker = startWorker(demo.dataDir, ...KEPT);
  const removed = page.getByText(/^The compressed image was removed on /);
  while (!(await removed.isVisible())) {
    await page.reload();
    await page.getByText('In the sheet').waitFor();
  }
  await checkAccessibility(page, 'an image that was removed');
  await page.getByRole('link', { name: 'Its request' }).click();
  await page.getByText(/^The compressed images were removed on /).waitFor();
  await page.locator('.cell', { hasText: 'removed' }).waitFor();
  await page.getByRole('link', { name: 'Output CSV' }).waitFor({ state: 'detached' });
  await checkAccessibility(page, 'a request whose images were removed');

  await page.getByRole('button', { name: 'Compress them again' }).click();
  await page.getByText('The compressed images are kept until').waitFor();
  await page.getByRole('link', { name: 'Output CSV' }).waitFor();
  await page.checkFaults();
  await page.context().close();
  await worker.stop();
});
