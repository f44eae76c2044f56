/** The console in a real browser, from the drop to the result. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { checkAccessibility, openBrowser, openPage } from './support/browser.mjs';
import {
  csv,
  csvFile,
  freeAddress,
  startDemo,
  startOrigin,
  startProxy,
  startWire,
  untilEnded,
  upload,
} from './support/halftone.mjs';

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

/** Drops a file on the page that is shown, and starts what it asks for. */
async function start(page, content) {
  await page.locator('.drop-zone input').setInputFiles(csvFile(content));
  await page.getByRole('button', { name: /^Compress the images of/ }).click();
  await page.waitForURL(/\/requests\//);
}

/** Cancels the request that is shown. */
async function cancel(page) {
  await page.getByRole('button', { name: 'Cancel', exact: true }).click();
  const dialog = page.getByRole('dialog', { name: 'Cancel this request?' });
  await dialog.getByRole('button', { name: 'Cancel the rest' }).click();
}

test('a file is dropped, checked, compressed, compared and downloaded', async () => {
  const page = await openPage(browser);
  await page.goto(demo.url);
  const content = csv(
    [`${origin.url}/a.jpg`, `${origin.url}/b.jpg`],
    [`${origin.url}/missing/c.jpg`],
    ['ftp://x/d.jpg'],
  );
  // A real drop, as the desktop makes it.
  const dropped = await page.evaluateHandle((text) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([text], 'spring.csv', { type: 'text/csv' }));
    return transfer;
  }, content);
  await page.dispatchEvent('body', 'dragenter', { dataTransfer: dropped });
  await page.getByText('Drop the CSV to check it').waitFor();
  await page.dispatchEvent('body', 'drop', { dataTransfer: dropped });

  await page.getByRole('heading', { name: 'spring.csv' }).waitFor();
  await page.getByText('Only http:// and https:// addresses can be fetched').first().waitFor();
  await page.getByRole('radio', { name: /Half the size/ }).check();
  await page.getByRole('button', { name: 'Compress the images of 2 products' }).click();

  await page.getByText('Completed with errors').waitFor();
  await page.getByRole('heading', { name: '1 image failed' }).waitFor();
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByText('The best quality within 50% of the source’s bytes').waitFor();
  await page.getByRole('button', { name: 'Images', exact: true }).click();

  const download = page.waitForEvent('download');
  await page.getByRole('link', { name: 'Output CSV' }).click();
  const output = await readFile(await (await download).path(), 'utf8');
  assert.match(output, /Output Image Urls/);
  assert.match(output, /compressed_a\.jpg/);

  await page.getByRole('link', { name: /^a\.jpg\s*: Done/ }).click();
  const slider = page.getByRole('slider');
  await slider.focus();
  await page.keyboard.press('End');
  const source = page.getByRole('img', { name: 'a.jpg, the source' });
  await page.waitForFunction(() => document.querySelector('.stage .before')?.naturalWidth === 600);
  assert.match(await source.evaluate((image) => image.style.clipPath), /^inset\(0(px)? 0%/);
  await page.getByRole('button', { name: '1:1' }).click();
  const width = () => source.evaluate((image) => image.getBoundingClientRect().width);
  assert.equal(await width(), 600);
  // The wheel zooms around what it points at, and the page stays where it is.
  const middle = await source.evaluate((image) => {
    const box = image.closest('.compare-view').getBoundingClientRect();
    return { x: box.left + box.width / 2, y: box.top + box.height / 2 };
  });
  await page.mouse.move(middle.x, middle.y);
  const scrolled = await page.evaluate(() => scrollY);
  await page.mouse.wheel(0, -1000);
  await page.waitForFunction(() => document.querySelector('.stage img').getBoundingClientRect().width > 2000);
  assert.equal(await page.evaluate(() => scrollY), scrolled);
  const view = page.locator('.compare-view');
  const before = await view.evaluate((element) => element.scrollLeft);
  await page.mouse.down();
  await page.mouse.move(middle.x + 100, middle.y + 40, { steps: 4 });
  await page.mouse.up();
  assert.equal(before - (await view.evaluate((element) => element.scrollLeft)), 100);
  await view.focus();
  await page.keyboard.press('0');
  await page.waitForFunction(() => document.querySelector('.stage img').getBoundingClientRect().width <= 600);
  // The source alone, as long as the key is held.
  const divider = page.locator('.divider');
  await page.keyboard.down(' ');
  await divider.waitFor({ state: 'detached' });
  await page.keyboard.up(' ');
  await divider.waitFor({ state: 'attached' });
  await page.keyboard.press('Escape');
  await page.waitForURL(/\/requests\//);

  // What failed goes into a new request, once its host has it.
  await page.getByRole('button', { name: 'Upload the rows as a new request' }).click();
  await page.getByRole('button', { name: 'Compress the images of 1 product', exact: true }).waitFor();
  await page.checkFaults();
  await page.context().close();
});

test('the demo shows every ending, and each page is accessible in both themes and at every width', async () => {
  for (const colorScheme of ['light', 'dark']) {
    const page = await openPage(browser, { colorScheme, reducedMotion: 'reduce' });
    await page.goto(demo.request);
    await page.getByText('Completed with errors').waitFor();
    for (const part of [/^21 compressed/, /^1 kept as they were/, /^4 failed/]) {
      await page.locator('.legend li').filter({ hasText: part }).waitFor();
    }
    await page.locator('.cell').first().waitFor();
    await checkAccessibility(page, `request, ${colorScheme}`);
    for (const tab of [/Problems/, 'Hosts', 'Webhook', 'Settings']) {
      await page.getByRole('button', { name: tab }).click();
      await checkAccessibility(page, `${tab}, ${colorScheme}`);
    }
    await page.getByRole('button', { name: 'Images', exact: true }).click();
    await page.locator('.cell').first().click();
    await page.getByRole('slider').waitFor();
    await checkAccessibility(page, `image, ${colorScheme}`);
    for (const [path, shown] of [
      ['/', 'Newest requests'],
      ['/requests', 'catalogue.csv'],
      ['/requests?status=canceled', 'No request matches'],
      ['/requests/01a209b3-bc2e-71b0-baf0-b18030c0664d', 'There is no request at this address'],
      ['/system', 'A download'],
    ]) {
      await page.goto(demo.url + path);
      await page.getByText(shown).first().waitFor();
      await checkAccessibility(page, `${path}, ${colorScheme}`);
      await page.setViewportSize({ width: 360, height: 740 });
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.equal(overflow <= 0, true, `${path} is ${overflow} pixels too wide for 360`);
      await page.setViewportSize({ width: 1280, height: 800 });
    }
    await page.goto(demo.url);
    await page.locator('.drop-zone input').setInputFiles(csvFile(csv([`${origin.url}/a.jpg`])));
    await page.getByRole('button', { name: /^Compress/ }).waitFor();
    await checkAccessibility(page, `new, ${colorScheme}`);
    await page.checkFaults();
    await page.context().close();
  }
});

test('two fingers zoom an image, wherever they are and however it is shown', async () => {
  const page = await openPage(browser, {
    hasTouch: true,
    isMobile: true,
    viewport: { width: 390, height: 844 },
  });
  const id = await upload(demo.url, csv([`${origin.url}/a.jpg`]));
  await page.goto(`${demo.url}/requests/${id}`);
  await page.getByRole('link', { name: /^a\.jpg\s*: Done/ }).tap();
  const view = page.locator('.compare-view');
  await view.scrollIntoViewIfNeeded();
  await page.waitForFunction(() => document.querySelector('.stage img').naturalWidth > 0);
  const touch = await page.context().newCDPSession(page);
  const width = () => page.locator('.stage').evaluate((stage) => stage.getBoundingClientRect().width);
  /** Moves two fingers apart or together around the middle of the view. */
  async function pinch(from, to, { x, y }) {
    const box = await view.boundingBox();
    const middle = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
    const points = (distance) =>
      [-0.5, 0.5].map((side, id) => ({
        x: middle.x + side * distance * x,
        y: middle.y + side * distance * y,
        id,
      }));
    const send = (type, touchPoints) => touch.send('Input.dispatchTouchEvent', { type, touchPoints });
    await send('touchStart', points(from).slice(0, 1));
    await send('touchStart', points(from));
    for (let step = 1; step <= 10; step += 1) {
      await send('touchMove', points(from + ((to - from) * step) / 10));
    }
    await send('touchEnd', []);
  }
  const fitted = await width();
  for (const direction of [
    { x: 1, y: 0 },
    { x: 0, y: 1 },
  ]) {
    await pinch(40, 120, direction);
    await page.waitForFunction((least) => document.querySelector('.stage').clientWidth > least, fitted * 2);
    const zoomed = await width();
    assert.ok(Math.abs(zoomed / fitted - 3) < 0.3, `three times as far apart: ${fitted} became ${zoomed}`);
    await pinch(120, 80, direction);
    await page.waitForFunction((most) => document.querySelector('.stage').clientWidth < most, zoomed * 0.8);
    assert.equal(await page.evaluate(() => visualViewport.scale), 1);
    await page.getByRole('button', { name: 'Fitted' }).tap();
    await page.waitForFunction((most) => document.querySelector('.stage').clientWidth <= most, fitted);
  }
  await page.checkFaults();
  await page.context().close();
});

test('below a path, with a proxy that keeps it or takes it off, everything works', async () => {
  const path = '/tools/halftone';
  const listener = await freeAddress();
  const [keeping, taking] = await Promise.all(
    [true, false].map((keeps) => startProxy(`http://${listener}`, path, keeps)),
  );
  const below = await startDemo('--listen', listener, '--public-url', taking.url);
  assert.ok(below.request.startsWith(taking.url));
  for (const proxy of [keeping, taking]) {
    const page = await openPage(browser);
    await page.goto(`${proxy.url}/`);
    await page.getByText('catalogue.csv').first().waitFor();
    await start(page, csv([`${origin.url}/a.jpg`]));
    assert.ok(page.url().startsWith(`${proxy.url}/requests/`), page.url());
    // Live, and with pictures and files.
    await page.getByText('Completed', { exact: true }).waitFor();
    const thumbnail = page.locator('.cell img').first();
    await page.waitForFunction(() => document.querySelector('.cell img')?.naturalWidth > 0);
    assert.ok((await thumbnail.evaluate((image) => image.currentSrc)).startsWith(proxy.url));
    const download = page.waitForEvent('download');
    await page.getByRole('link', { name: 'Output CSV' }).click();
    const output = await readFile(await (await download).path(), 'utf8');
    assert.ok(output.includes(`${taking.url}/images/`), output);
    await page.getByRole('link', { name: /^a\.jpg\s*: Done/ }).click();
    await page.getByRole('slider').waitFor();
    assert.ok(page.url().startsWith(`${proxy.url}/images/`), page.url());
    await page.reload();
    await page.waitForFunction(() => document.querySelector('.stage .before')?.naturalWidth === 600);
    await page.getByRole('link', { name: 'System' }).click();
    await page.getByRole('cell', { name: 'Alive' }).waitFor();
    await page.getByRole('link', { name: 'Playground' }).click();
    await page.locator('.operations button', { hasText: 'Watch a request' }).click();
    await page.getByRole('button', { name: /^Execute/ }).click();
    await page.locator('.result-window', { hasText: '"status": "COMPLETED' }).waitFor();
    await page.checkFaults();
    await page.context().close();
    proxy.stop();
  }
  await below.stop();
});

test('a lost connection is said, and nothing is missed when it is back', async () => {
  const held = await startOrigin();
  const wire = await startWire(demo.url);
  const page = await openPage(browser, { expected: [/WebSocket|ERR_/] });
  await page.goto(wire.url);
  await start(page, csv([1, 2, 3].map((n) => `${held.url}/held/${n}.jpg`)));
  await page.locator('.cell').first().waitFor();
  await page.getByText('In progress').first().waitFor();
  wire.cut();
  await page.getByText('Connection lost. Reconnecting…').waitFor();
  held.open();
  wire.mend();
  await page.getByText('Completed', { exact: true }).waitFor();
  await page.getByText('Connection lost').waitFor({ state: 'detached' });
  for (const n of [1, 2, 3])
    await page.getByRole('link', { name: new RegExp(`^${n}\\.jpg\\s*: Done`) }).waitFor();
  await page.checkFaults();
  await page.context().close();
  wire.stop();
  held.stop();
});

test('a hidden page rests, and catches up when it is looked at again', async () => {
  const held = await startOrigin();
  const id = await upload(demo.url, csv([1, 2, 3].map((n) => `${held.url}/held/${n}.jpg`)));
  const page = await openPage(browser);
  const status = page.locator('.heading .status');
  const resting = page.waitForEvent('websocket').then(
    (socket) =>
      new Promise((resolve) => {
        let ended = 0;
        socket.on('framesent', ({ payload }) => {
          // Of the request and of its images.
          if (JSON.parse(payload).type === 'complete' && (ended += 1) === 2) resolve();
        });
      }),
  );
  const setHidden = (hidden) =>
    page.evaluate((hidden) => {
      Object.defineProperty(document, 'hidden', { configurable: true, value: hidden });
      document.dispatchEvent(new Event('visibilitychange'));
    }, hidden);
  await page.goto(`${demo.url}/requests/${id}`);
  await page.locator('a.cell').nth(2).waitFor();
  await setHidden(true);
  await resting;
  held.open();
  await untilEnded(demo.url, id);
  assert.equal(await status.innerText(), 'In progress');
  await setHidden(false);
  await status.getByText('Completed', { exact: true }).waitFor();
  for (const n of [1, 2, 3])
    await page.getByRole('link', { name: new RegExp(`^${n}\\.jpg\\s*: Done`) }).waitFor();
  await page.checkFaults();
  await page.context().close();
  held.stop();
});

test('an image that is not good enough is compressed anew at a higher quality', async () => {
  const page = await openPage(browser);
  const id = await upload(demo.url, csv([`${origin.url}/a.jpg`]));
  await page.goto(`${demo.url}/requests/${id}`);
  await page.getByRole('link', { name: /^a\.jpg\s*: Done/ }).click();
  await page.getByRole('button', { name: 'Compress this one at quality 70' }).click();
  await page.getByRole('heading', { name: 'a.jpg.csv' }).waitFor();
  assert.equal(await page.getByLabel('Encoder quality (1–100)').inputValue(), '70');
  await page.getByRole('button', { name: /^Compress the images of/ }).click();
  await page.locator('.heading .status').getByText('Completed', { exact: true }).waitFor();
  await page.getByRole('link', { name: /^a\.jpg\s*: Done/ }).click();
  await page.getByText('Encoded at quality 70').waitFor();
  await page.checkFaults();
  await page.context().close();
});

test('requests are found by status, label and name, with their totals', async () => {
  for (const label of ['autumn', 'winter']) {
    await upload(demo.url, csv([`${origin.url}/a.jpg`], [`${origin.url}/missing/b.jpg`]), { label });
  }
  const page = await openPage(browser);
  await page.goto(`${demo.url}/requests`);
  const shown = page.locator('.requests li');
  await page.getByLabel('Label').selectOption('winter');
  await page.waitForFunction(() => document.querySelectorAll('.requests li').length === 1);
  await shown.getByText('winter.csv').waitFor();
  await page.getByLabel('Label').selectOption('');
  await page.getByLabel('Name').fill('AUTUMN');
  await shown.getByText('autumn.csv').waitFor();
  await page.waitForFunction(() => document.querySelectorAll('.requests li').length === 1);
  await page.getByRole('button', { name: /^With errors 1$/ }).click();
  await page.waitForURL(/status=errors/);
  const totals = page.getByLabel('Totals');
  await totals.locator('.figure', { hasText: 'Images' }).getByText('2', { exact: true }).waitFor();
  await totals.locator('.figure', { hasText: 'Failed' }).getByText('1', { exact: true }).waitFor();
  await page.getByRole('button', { name: /^Canceled 0$/ }).click();
  await page.getByText('No request matches').waitFor();
  await checkAccessibility(page, 'requests, filtered');
  await page.getByRole('button', { name: 'Show all' }).click();
  await shown.getByText('winter.csv').waitFor();
  await page.checkFaults();
  await page.context().close();
});

test('the system page shows the queue, the workers and the host that images wait for, and the image says why', async () => {
  const busy = await startOrigin();
  const id = await upload(demo.url, csv([`${busy.url}/busy/a.jpg`]));
  const page = await openPage(browser);
  await page.goto(`${demo.url}/system`);
  await page.getByRole('cell', { name: 'Alive' }).waitFor();
  const host = page.getByRole('region', { name: 'Hosts that images are waiting for' });
  await host.getByText(busy.url).waitFor();
  await host.getByText('Asked for a pause').waitFor();
  await page.getByText('1 waiting for their next attempt').waitFor();
  await page.getByRole('img', { name: /^Jobs over the last/ }).waitFor();
  await checkAccessibility(page, 'system with a paused host');
  await page.goto(`${demo.url}/requests/${id}`);
  await page.locator('.cell').first().click();
  await page.getByText('This image is waiting and will be tried again in').waitFor();
  await page.goto(`${demo.url}/requests/${id}`);
  await cancel(page);
  await page.locator('.heading .status', { hasText: 'Canceled' }).waitFor();
  await page.checkFaults();
  await page.context().close();
  busy.stop();
});

test('what failed is tried again in place, all of it or one cause, and a request is paused', async () => {
  const page = await openPage(browser);
  const broken = await startOrigin();
  const held = await startOrigin();
  const id = await upload(
    demo.url,
    csv([`${broken.url}/missing/a.jpg`, `${broken.url}/missing/b.jpg`, `${held.url}/page/c.jpg`]),
  );
  await page.goto(`${demo.url}/requests/${id}`);
  await page.getByRole('heading', { name: '3 images failed' }).waitFor();
  await page.getByRole('button', { name: 'Show', exact: true }).first().waitFor();
  await checkAccessibility(page, 'failures');
  await page.setViewportSize({ width: 360, height: 740 });
  const covered = await page.locator('.failures li').evaluateAll((items) =>
    items.filter((item) => {
      const [text, actions] = [...item.querySelectorAll(':scope > div')].map((div) =>
        div.getBoundingClientRect(),
      );
      return text.bottom > actions.top;
    }),
  );
  assert.deepEqual(covered, [], 'buttons cover what failed');
  await page.setViewportSize({ width: 1280, height: 800 });
  broken.repair();
  const group = page.locator('.failures li', { hasText: 'missing/a.jpg' });
  await group.getByRole('button', { name: /^Try again/ }).click();
  await page.getByRole('heading', { name: '1 image failed' }).waitFor();
  await page.getByRole('link', { name: /^a\.jpg\s*: Done/ }).waitFor();
  held.repair();
  await page.getByRole('button', { name: 'Try it again' }).click();
  await page.locator('.heading .status').getByText('Completed', { exact: true }).waitFor();
  await page.getByRole('link', { name: /^c\.jpg\s*: Done/ }).waitFor();

  const waiting = await upload(demo.url, csv([`${held.url}/held/d.jpg`]));
  await page.goto(`${demo.url}/requests/${waiting}`);
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByText('No image is started until the request is resumed.').waitFor();
  await page.getByRole('button', { name: 'Resume' }).click();
  await page.getByRole('button', { name: 'Pause' }).waitFor();
  held.open();
  await page.locator('.heading .status').getByText('Completed', { exact: true }).waitFor();
  await page.checkFaults();
  await page.context().close();
  broken.stop();
  held.stop();
});

test('a wrong address is replaced, one by one or by a file', async () => {
  const page = await openPage(browser);
  const missing = (name) => `${origin.url}/missing/${name}.jpg`;
  const id = await upload(demo.url, csv([missing('a')], [missing('b')], [missing('c')]));
  await page.goto(`${demo.url}/requests/${id}`);
  await page.getByRole('heading', { name: '3 images failed' }).waitFor();

  await page.getByRole('link', { name: /a\.jpg\s*: Failed/ }).click();
  const address = page.getByLabel('Address of the image');
  await address.fill(`${origin.url}/found/a.jpg`);
  await checkAccessibility(page, 'replacing an address');
  await page.getByRole('button', { name: 'Use this address' }).click();
  await page.locator('.heading .status', { hasText: 'Done' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('heading', { name: '2 images failed' }).waitFor();

  const [row, ...rows] = csv([missing('a')], [missing('b')], [missing('c')]).split('\n');
  const mended = [row, rows[1].replace('missing', 'found'), rows[2].replace('Product 3', 'Product 9')];
  await page.getByLabel('Apply the corrected rows').setInputFiles(csvFile(mended.join('\n'), 'mended.csv'));
  await page.getByText('1 image of mended.csv is processed again.').waitFor();
  // While the image is processed, what comes and goes above moves the rest of the page, and a click may miss.
  await page.getByRole('heading', { name: '1 image failed' }).waitFor();
  await page.getByText('1 change not applied').click();
  await page.getByText(/^Line 3: /).waitFor();

  // The only one of its kind is mended where it stands.
  await page.getByRole('button', { name: 'Replace its address' }).click();
  await address.fill('ftp://nowhere/c.jpg');
  await page.getByRole('button', { name: 'Use this address' }).click();
  await page.locator('.replace').getByRole('alert').getByText('http').waitFor();
  await address.fill(`${origin.url}/found/c.jpg`);
  await page.getByRole('button', { name: 'Use this address' }).click();
  await page.locator('.heading .status').getByText('Completed', { exact: true }).waitFor();
  await page.checkFaults();
  await page.context().close();
});

test('a part of many addresses is replaced at once', async () => {
  const page = await openPage(browser);
  const missing = (name) => `${origin.url}/missing/${name}.jpg`;
  const id = await upload(demo.url, csv([missing('a')], [missing('b'), missing('c')]));
  await page.goto(`${demo.url}/requests/${id}`);
  await page.getByRole('heading', { name: '3 images failed' }).waitFor();
  await page.getByRole('button', { name: 'Replace in the addresses' }).click();
  const part = page.getByLabel('In all addresses that failed, replace');
  assert.equal(await part.inputValue(), origin.url);
  await part.fill('/gone/');
  await page.getByLabel('with', { exact: true }).fill('/found/');
  await checkAccessibility(page, 'replacing a part of addresses');
  await page.getByRole('button', { name: 'Replace and try again' }).click();
  await page.getByText('No address of a failed row contains “/gone/”.').waitFor();
  await part.fill('/missing/');
  await page.getByRole('button', { name: 'Replace and try again' }).click();
  await page.getByText(/^3 images of .* are processed again\.$/).waitFor();
  await page.locator('.heading .status').getByText('Completed', { exact: true }).waitFor();
  await page.checkFaults();
  await page.context().close();
});

test('it is looked for changed images, and the updated file is there', async () => {
  const page = await openPage(browser);
  const id = await upload(demo.url, csv([`${origin.url}/a.jpg`], [`${origin.url}/missing/b.jpg`]));
  await page.goto(`${demo.url}/requests/${id}`);
  await page.locator('.heading .status').getByText('Completed with errors').waitFor();
  const download = page.waitForEvent('download');
  await page.getByRole('link', { name: 'Updated file' }).click();
  const updated = await readFile(await (await download).path(), 'utf8');
  assert.match(updated, /images\/.*compressed_a\.jpg/);
  assert.ok(updated.includes(`${origin.url}/missing/b.jpg`));
  await page.getByRole('button', { name: 'Look for changes' }).click();
  await page.getByText('Compared with before: 1 as before.').waitFor();
  await page.checkFaults();
  await page.context().close();
});

test('a webhook is sent again', async () => {
  const page = await openPage(browser);
  const id = await upload(demo.url, csv([`${origin.url}/a.jpg`]), { webhookUrl: `${origin.url}/hook` });
  await page.goto(`${demo.url}/requests/${id}?tab=webhook`);
  await page.getByText('Delivered', { exact: true }).waitFor();
  const attempts = page.getByRole('region', { name: 'Attempts' }).locator('tbody tr');
  assert.equal(await attempts.count(), 1);
  await page.getByRole('button', { name: 'Send it again' }).click();
  await attempts.nth(1).waitFor();
  await page.getByText('Delivered', { exact: true }).waitFor();
  await page.checkFaults();
  await page.context().close();
});

test('a request is deleted, and a page that still shows it says so', async () => {
  const id = await upload(demo.url, csv([`${origin.url}/a.jpg`]), { label: 'short-lived' });
  const [page, other] = [await openPage(browser), await openPage(browser)];
  for (const shown of [page, other]) {
    await shown.goto(`${demo.url}/requests/${id}`);
    await shown.locator('.heading .status').getByText('Completed', { exact: true }).waitFor();
  }
  await page.getByRole('button', { name: 'Delete' }).click();
  const dialog = page.getByRole('dialog', { name: 'Delete short-lived.csv?' });
  await dialog.getByText('every link to them stops working at once').waitFor();
  await checkAccessibility(page, 'asking before a deletion');
  await dialog.getByRole('button', { name: 'Keep it' }).click();
  await dialog.waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Delete' }).click();
  await dialog.getByRole('button', { name: 'Delete' }).click();
  await page.waitForURL(/\/requests$/);
  await page.getByText('catalogue.csv').first().waitFor();
  assert.equal(await page.getByText('short-lived.csv').count(), 0);
  await other.getByRole('heading', { name: 'This request was deleted' }).waitFor();
  await checkAccessibility(other, 'deleted');
  for (const shown of [page, other]) {
    await shown.checkFaults();
    await shown.context().close();
  }
});

test('columns that were taken for the wrong thing are chosen anew', async () => {
  const page = await openPage(browser);
  await page.goto(demo.url);
  const sheet = [
    'Title,Photo,Detail,Colour',
    `Cup,${origin.url}/a.jpg,see page 7,red`,
    `Pot,${origin.url}/b.jpg,see page 8,blue`,
    '',
  ].join('\n');
  await page.locator('.drop-zone input').setInputFiles(csvFile(sheet));
  await page.getByRole('button', { name: 'Compress the images of 2 products' }).waitFor();
  assert.equal(await page.getByLabel('What Title is').inputValue(), 'PRODUCT_NAME');
  assert.equal(await page.getByLabel('What Photo is').inputValue(), 'IMAGE_URLS');
  assert.equal(await page.getByLabel('What Colour is').inputValue(), 'CARRIED_THROUGH');
  await checkAccessibility(page, 'columns');

  await page.getByLabel('What Colour is').selectOption('PRODUCT_NAME');
  await page
    .getByRole('row', { name: /^Colour/ })
    .getByText('You chose it')
    .waitFor();
  assert.equal(await page.getByLabel('What Title is').inputValue(), 'CARRIED_THROUGH');
  await page.getByRole('button', { name: 'Compress the images of 2 products' }).click();
  await page.waitForURL(/\/requests\//);
  await page.getByText('Completed', { exact: true }).waitFor();
  await page.getByRole('link', { name: /^a\.jpg\s*: Done/ }).click();
  await page.getByText('red (row 1)').waitFor();
  await page.checkFaults();
  await page.context().close();
});

test('a file is estimated before it is uploaded', async () => {
  const held = await startOrigin();
  const page = await openPage(browser);
  await page.goto(demo.url);
  const urls = Array.from(
    { length: 80 },
    (_, n) => `${held.url}/${n % 8 === 0 ? 'missing' : 'found'}/${n}.jpg`,
  );
  await page.locator('.drop-zone input').setInputFiles(csvFile(csv(...urls.map((url) => [url]))));
  await page.getByRole('button', { name: 'Estimate first' }).click();
  const estimate = page.getByRole('region', { name: 'Estimate' });
  await estimate.getByText('Based on 50 of the 80 images of this file').waitFor();
  const figure = (label) => estimate.locator('.figure', { hasText: label });
  await figure('Now')
    .getByText(/[kM]B to .*[kM]B$/)
    .waitFor();
  await figure('Afterwards')
    .getByText(/[kM]B to .*[kM]B$/)
    .waitFor();
  await figure('Saved').getByText(/^\d+%/).waitFor();
  await figure('Time')
    .getByText(/^about \d+/)
    .waitFor();
  await figure('Would fail')
    .getByText(/^about \d+/)
    .waitFor();
  await estimate.locator('.broken li', { hasText: new URL(held.url).hostname }).waitFor();
  await checkAccessibility(page, 'an estimate');
  assert.equal(await page.getByText('have changed since').count(), 0);
  await page.getByRole('radio', { name: /Looks the same/ }).check();
  await estimate.getByText('have changed since').waitFor();

  // Stopped, it leaves its place to the next one.
  const waiting = csv(...urls.map((url) => [url.replace(/found|missing/, 'held')]));
  await page.locator('body').evaluate((body, text) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([text], 'waiting.csv', { type: 'text/csv' }));
    body.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer }));
  }, waiting);
  await page.getByRole('heading', { name: 'waiting.csv' }).waitFor();
  await page.getByRole('button', { name: 'Estimate first' }).click();
  await estimate.getByText('0 of 50 images tried').waitFor();
  await checkAccessibility(page, 'an estimate that is running');
  await estimate.getByRole('button', { name: 'Stop' }).click();
  held.open();
  await page.getByRole('button', { name: /^Estimate/ }).click();
  await estimate
    .getByText('Based on 50 of the 80 images of this file')
    .or(estimate.getByText('is running'))
    .waitFor();
  while (await estimate.getByText('is running').isVisible()) {
    await estimate.getByRole('button', { name: 'Try again' }).click();
    await estimate
      .getByText('Based on 50 of the 80 images of this file')
      .or(estimate.getByText('is running'))
      .waitFor();
  }
  await figure('Would fail').getByText('none').waitFor();
  await page.getByRole('button', { name: /^Compress the images of/ }).click();
  await page.waitForURL(/\/requests\//);
  await page.locator('.heading .status').getByText('Completed', { exact: true }).waitFor();
  await page.checkFaults();
  await page.context().close();
  held.stop();
});

test('ten thousand images scroll, and are canceled with one click', async () => {
  const held = await startOrigin();
  const page = await openPage(browser);
  await page.goto(demo.url);
  const row = (first) => Array.from({ length: 100 }, (_, n) => `${held.url}/held/${first + n}.jpg`);
  await start(page, csv(...Array.from({ length: 100 }, (_, n) => row(n * 100))));
  await page.locator('.cell').first().waitFor();
  // Anywhere at once: by the bar, by number, by key.
  await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
  await page.locator('a.cell[data-index="9999"]').waitFor();
  await page.getByText('9999.jpg').waitFor();
  await page.getByLabel('Go to image').fill('5001');
  await page.getByRole('button', { name: 'Go', exact: true }).click();
  await page.waitForFunction(() => document.activeElement?.textContent?.includes('5000.jpg'));
  await page.keyboard.press('End');
  await page.waitForFunction(() => document.activeElement?.textContent?.includes('9999.jpg'));
  await page.keyboard.press('Home');
  await page.waitForFunction(() => document.activeElement?.dataset.index === '0');
  const drawn = await page.locator('.cell').count();
  assert.ok(drawn < 200, `${drawn} cells are drawn at once`);
  await page.evaluate(() => scrollTo(0, 0));
  await cancel(page);
  held.open();
  await page.locator('.heading .status', { hasText: 'Canceled' }).waitFor();
  await page.checkFaults();
  await page.context().close();
  held.stop();
});

test('the keyboard moves through the images', async () => {
  const page = await openPage(browser);
  await page.goto(demo.request);
  await page.locator('.cell').first().focus();
  await page.keyboard.press('j');
  await page.keyboard.press('ArrowRight');
  const focused = () => page.evaluate(() => document.activeElement?.dataset.index);
  await page.waitForFunction(() => document.activeElement?.dataset.index === '2');
  await page.keyboard.press('k');
  await page.waitForFunction(() => document.activeElement?.dataset.index === '1');
  assert.equal(await focused(), '1');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/images\//);
  await page.checkFaults();
  await page.context().close();
});

test('the first view is light', async () => {
  const page = await openPage(browser);
  let bytes = 0;
  page.on('response', async (response) => {
    const length = response.headers()['content-length'];
    if (!response.url().includes('/graphql')) bytes += Number(length ?? 0);
  });
  await page.goto(demo.url);
  await page.getByText('Newest requests').waitFor();
  assert.ok(bytes > 20_000 && bytes <= 150_000, `${bytes} bytes`);
  await page.context().close();
});
