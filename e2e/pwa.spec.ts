/** Installing the page, and updating it. */
import type { Page } from '@playwright/test';
import { expect, importFrom, openPage, type TestServer, test } from './fixtures.ts';

test.use({ serviceWorkers: 'allow' });

/** Makes the server serve a new version, and the browser check for it at once. */
async function publishUpdate(page: Page, server: TestServer): Promise<void> {
  server.updated = true;
  await page.evaluate(async () => (await navigator.serviceWorker.getRegistration())?.update());
}

test('the page can be installed: manifest, icons, service worker', async ({ page, server }) => {
  await openPage(page, server);
  await page.evaluate(() => navigator.serviceWorker.ready);
  const href = await page.locator('link[rel=manifest]').getAttribute('href');
  const address = new URL(href!, page.url());
  const manifest = (await (await page.request.get(address.href)).json()) as Record<string, unknown> & {
    icons: { src: string; sizes: string; purpose?: string }[];
  };
  expect(manifest).toMatchObject({ name: 'mixtab', display: 'standalone', start_url: './' });
  expect(manifest.icons.map(({ sizes }) => sizes)).toEqual(expect.arrayContaining(['192x192', '512x512']));
  expect(manifest.icons.some(({ purpose }) => purpose === 'maskable')).toBe(true);
  for (const { src } of manifest.icons) expect((await page.request.get(new URL(src, address).href)).ok()).toBe(true);
  // Chromium's own objections to installing it. In a fresh headless profile, "in-incognito" is the only one allowed.
  const devtools = await page.context().newCDPSession(page);
  const { installabilityErrors } = await devtools.send('Page.getInstallabilityErrors');
  expect(installabilityErrors.map(({ errorId }) => errorId).filter((id) => id !== 'in-incognito')).toEqual([]);
});

test('an update that the browser activated by itself is used when the user accepts it', async ({ page, server }) => {
  await openPage(page, server);
  await page.evaluate(() => navigator.serviceWorker.ready);
  await publishUpdate(page, server);
  const offered = page.getByText('A new version of mixtab is available.');
  await expect(offered).toBeVisible();
  // The browser may activate the new version at any time, because no open page is controlled by the first one.
  await page.evaluate(async () =>
    (await navigator.serviceWorker.getRegistration())?.waiting?.postMessage({ type: 'SKIP_WAITING' }),
  );
  await page.waitForFunction(async () => {
    const registration = await navigator.serviceWorker.getRegistration();
    return !registration?.waiting && registration?.active?.state === 'activated';
  });
  await expect(offered).toBeVisible();
  const loaded = page.waitForEvent('load');
  await page.getByRole('button', { name: 'Update now' }).click();
  await loaded;
  await expect(page.getByRole('button', { name: 'Once upon a time' })).toBeEnabled();
  await expect(offered).toBeHidden();
});

test('an update waits until the user accepts it, and a draft survives it', async ({ page, server }) => {
  await openPage(page, server);
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.getByRole('textbox', { name: 'Your text' }).fill('words that must stay');
  await publishUpdate(page, server);
  await expect(page.getByText('A new version of mixtab is available.')).toBeVisible();
  const loads: string[] = [];
  page.on('load', () => loads.push('load'));
  await page.getByRole('button', { name: 'Update now' }).click();
  await expect.poll(() => loads.length).toBe(1);
  await expect(page.getByRole('button', { name: 'Once upon a time' })).toBeEnabled();
  await expect(page.getByText('A new version of mixtab is available.')).toBeHidden();
  await expect(page.getByRole('textbox', { name: 'Your text' })).toHaveValue('words that must stay');
});

test('an update that the browser delays is announced, and used as soon as it can be', async ({ page, server }) => {
  // The browser changes to the new version when the one before has nothing to do any more.
  server.serviceWorkerCode = `let end;
  addEventListener('message', (event) => {
    if (event.data === 'begin') event.waitUntil(new Promise((resolve) => (end = resolve)));
    if (event.data === 'end') end();
  });`;
  await openPage(page, server);
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.reload(); // now the service worker controls it
  await expect(page.getByRole('button', { name: 'Once upon a time' })).toBeEnabled();
  const tell = (message: string): Promise<void> =>
    page.evaluate((data) => navigator.serviceWorker.controller!.postMessage(data), message);
  await tell('begin');
  await publishUpdate(page, server);
  const loads: string[] = [];
  page.on('load', () => loads.push('load'));
  await page.getByRole('button', { name: 'Update now' }).click();
  await expect(page.getByRole('button', { name: 'Updating' })).toBeDisabled();
  await expect(page.getByText('The browser has not changed to the new version of mixtab yet')).toBeVisible();
  expect(loads).toEqual([]);
  await tell('end');
  await expect.poll(() => loads.length).toBe(1);
  await expect(page.getByRole('button', { name: 'Once upon a time' })).toBeEnabled();
  await expect(page.getByText('new version of mixtab')).toBeHidden();
});

test('an update in one tab waits for the import of another tab', async ({ page, server, context }) => {
  await openPage(page, server);
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.reload(); // now the service worker controls it
  await expect(page.getByRole('button', { name: 'Once upon a time' })).toBeEnabled();
  const second = await context.newPage();
  await openPage(second, server);

  server.slow = true;
  await importFrom(page, `${server.origin}/chat.gguf`);
  await expect(page.getByText(/Importing .*: /)).toBeVisible();
  const loads: string[] = [];
  page.on('load', () => loads.push('load'));
  await publishUpdate(second, server);
  await expect(page.getByText('You can update when the import has ended.')).toBeVisible();
  const reloaded = second.waitForEvent('load');
  await second.getByRole('button', { name: 'Update now' }).click();
  await reloaded;
  await expect(second.getByRole('button', { name: 'Once upon a time' })).toBeEnabled();
  server.slow = false;
  await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
  expect(loads).toEqual([]);

  await page.getByRole('button', { name: 'Update now' }).click();
  await expect.poll(() => loads.length).toBe(1);
  await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
  await expect(page.getByText('A new version of mixtab is available.')).toBeHidden();
});

test('an update in one tab waits for the answer of another tab', async ({ page, server, context }) => {
  // The answer lasts until it is stopped, on every machine.
  server.msPerToken = 2000;
  await openPage(page, server);
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.reload(); // now the service worker controls it
  const second = await context.newPage();
  await openPage(second, server);
  const story = page.getByRole('article', { name: 'Text' });
  await page.getByRole('button', { name: 'Once upon a time' }).click();
  const length = async (): Promise<number> => (await story.innerText()).trim().length;
  await expect.poll(length).toBeGreaterThan('Once upon a time'.length);
  const loads: string[] = [];
  page.on('load', () => loads.push('load'));
  await publishUpdate(second, server);
  await expect(page.getByText('You can update when the answer has ended.')).toBeVisible();
  const reloaded = second.waitForEvent('load');
  await second.getByRole('button', { name: 'Update now' }).click();
  await reloaded;
  await expect(second.getByRole('button', { name: /mixtab storyteller/ })).toBeVisible();

  // The answer continues under the new version, and its text survives the reload that the user asks for.
  const before = await length();
  await expect.poll(length).toBeGreaterThan(before);
  await page.getByRole('button', { name: 'Stop' }).click();
  await expect(page.getByText(/tokens\/s/)).toBeVisible();
  expect(loads).toEqual([]);
  const written = (await story.innerText()).trim().split('\n')[0];
  await page.getByRole('button', { name: 'Update now' }).click();
  await expect.poll(() => loads.length).toBe(1);
  await expect(story).toContainText(written);
  await expect(page.getByText('A new version of mixtab is available.')).toBeHidden();
});
