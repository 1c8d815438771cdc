import type { Page } from '@playwright/test';
import { expect, openPage, type TestServer, test } from './fixtures.ts';

/** The server has a new version, and the browser looks for it at once. */
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
  // What Chromium itself has against installing it; in a fresh profile without a window "in-incognito" is all it may find.
  const devtools = await page.context().newCDPSession(page);
  const { installabilityErrors } = await devtools.send('Page.getInstallabilityErrors');
  expect(installabilityErrors.map(({ errorId }) => errorId).filter((id) => id !== 'in-incognito')).toEqual([]);
});

test('a new version that took over by itself is used too when the user says so', async ({ page, server }) => {
  await openPage(page, server);
  await page.evaluate(() => navigator.serviceWorker.ready);
  await publishUpdate(page, server);
  const offered = page.getByText('A new version of mixtab is available.');
  await expect(offered).toBeVisible();
  // Nothing that the first version controls is open, so that the browser may let the next one take over at any time.
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

test("a new version waits for the user's word, and what was typed stays", async ({ page, server }) => {
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
