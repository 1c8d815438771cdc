/** The embedded page on another site, where the browser partitions storage: access to the models of its own site. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium, type FrameLocator, type Page } from '@playwright/test';
import { findHeadlessChromium } from '../scripts/chromium.mjs';
import { chromiumFlags } from '../scripts/chromium-flags.mjs';
import { expectNoFindings } from './axe.ts';
import { expect, startServer, type TestServer, test } from './fixtures.ts';

/** Serves the embedding page. */
let other: TestServer;
/** Its origin with another host name, because a different port is the same site for storage. */
let elsewhere: string;
let profile: string;
test.beforeAll(async () => {
  other = await startServer();
  elsewhere = other.origin.replace('localhost', '127.0.0.1');
});
test.afterAll(() => other.close());
test.beforeEach(() => {
  profile = mkdtempSync(join(tmpdir(), 'mixtab-profile-'));
});
test.afterEach(() => rmSync(profile, { recursive: true, force: true }));

/** Opens a Chromium with partitioned storage, which Playwright turns off, and with third-party cookies as given. */
async function openBrowser(thirdPartyCookies: 'allowed' | 'blocked'): Promise<BrowserContext> {
  mkdirSync(join(profile, 'Default'), { recursive: true });
  const preferences = { profile: { cookie_controls_mode: thirdPartyCookies === 'allowed' ? 0 : 1 } };
  writeFileSync(join(profile, 'Default', 'Preferences'), JSON.stringify(preferences));
  // The last list of disabled features replaces the one of Playwright.
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: findHeadlessChromium()?.path,
    args: [...chromiumFlags(), '--disable-features=Translate'],
  });
  // A headless shell knows neither the preference nor a dialog that asks, and denies access.
  if (thirdPartyCookies === 'allowed') await context.grantPermissions(['storage-access']);
  return context;
}

/** Imports a model on the site itself, as its user would. */
async function importOnSite(
  context: BrowserContext,
  { origin }: TestServer,
  path: string,
  storage: 'indexeddb' | 'opfs',
): Promise<void> {
  const page = await context.newPage();
  await page.goto(`${origin}/cli.html`);
  await page.waitForFunction(() => window.mixtab !== undefined);
  const answer = await page.evaluate(({ url, storage }) => window.mixtab.import({ kind: 'url', url }, { storage }), {
    url: origin + path,
    storage,
  });
  expect(answer).toHaveProperty('result.name');
  await page.close();
}

type Client = { mixtab: import('../src/client/mixtab.ts').Mixtab; changes: number };

/** Opens a page on another site with the embedded page in it. Its client is `window.client`. */
async function embed(context: BrowserContext, { origin }: TestServer): Promise<{ page: Page; frame: FrameLocator }> {
  const page = await context.newPage();
  await page.goto(`${elsewhere}/embedder.html`);
  await page.evaluate(async (embedUrl) => {
    const library = '/mixtab-client.js';
    const { createMixtab } = (await import(library)) as typeof import('../src/client/mixtab.ts');
    const client = { changes: 0 } as Client;
    (window as unknown as { client: Client }).client = client;
    client.mixtab = await createMixtab({
      embedUrl,
      container: document.body,
      onModelsChange: () => void client.changes++,
    });
  }, `${origin}/embed.html`);
  return { page, frame: page.frameLocator('iframe') };
}

/** @returns the names of the models that the client lists */
const names = (page: Page): Promise<string[]> =>
  page.evaluate(async () =>
    (await (window as unknown as { client: Client }).client.mixtab.models.list()).map(({ name }) => name),
  );

test("a frame on another site uses the site's own models after a click, and never changes them", async ({ server }) => {
  const context = await openBrowser('allowed');
  await importOnSite(context, server, '/chat.gguf', 'indexeddb');
  await importOnSite(context, server, '/long.gguf', 'opfs');
  const { page, frame } = await embed(context, server);
  await expect(frame.getByText('not available on 127.0.0.1')).toBeVisible();
  expect(await names(page)).toEqual([]);

  // The embedding page cannot lead a click to a button that the user does not see, nor click itself.
  const button = frame.getByRole('button', { name: /^Use the models I have on localhost/ });
  await button.scrollIntoViewIfNeeded();
  await expect(button).toBeEnabled();
  const setStyle = (style: string): Promise<void> =>
    page.evaluate((value) => document.querySelector('iframe')!.setAttribute('style', value), style);
  for (const style of ['opacity: 0.01', 'position: absolute; top: -10000px', 'filter: contrast(0)']) {
    await setStyle(style);
    await expect(button).toBeDisabled();
    await setStyle('');
    await expect(button).toBeEnabled();
  }
  await page.evaluate(() => {
    const cover = document.createElement('div');
    cover.setAttribute('style', 'position: fixed; inset: 0; background: white; pointer-events: none');
    document.body.append(cover);
  });
  await expect(button).toBeDisabled();
  await page.evaluate(() => document.querySelector('div')!.remove());
  await expect(button).toBeEnabled();
  await button.evaluate((element) => (element as HTMLButtonElement).click());
  await expect(frame.getByText('not available on 127.0.0.1')).toBeVisible();

  await button.click();
  await expect(frame.getByText(/^2 models of localhost:\d+ can now be used here/)).toBeVisible();
  expect(await names(page)).toEqual(['Tiny Chat', 'Long Chat']);

  const result = await page.evaluate(async (url) => {
    const { mixtab, changes } = (window as unknown as { client: Client }).client;
    const stored = await mixtab.models.list();
    const tokens: number[] = [];
    for (const { id: model } of stored) {
      const messages = [{ role: 'user' as const, content: 'Hi' }];
      const answer = await mixtab.chat.completions.create({ model, messages, max_tokens: 5, seed: 1 });
      tokens.push(answer.usage.completion_tokens);
    }
    const { id } = stored[0];
    const removal = await mixtab.models.remove(id).catch(({ code }: { code: string }) => code);
    await mixtab.models.import({ kind: 'url', url });
    return {
      tokens,
      removal,
      changes,
      names: (await mixtab.models.list()).map(({ name }) => name),
    };
  }, `${server.origin}/plain.gguf`);
  expect(result).toEqual({
    tokens: [5, 5],
    removal: 'storage-unavailable',
    changes: 1,
    names: expect.arrayContaining(['Tiny Chat', 'Long Chat', 'Tiny Text']),
  });

  // The site's own store is unchanged: the frame's import went to the frame's store.
  const there = await context.newPage();
  await there.goto(`${server.origin}/embed.html`);
  const keys = await there.evaluate(
    () =>
      new Promise<string[]>((resolve) => {
        const open = indexedDB.open('mixtab-models');
        open.onsuccess = () => {
          const request = open.result
            .transaction('models')
            .objectStore('models')
            .getAllKeys(IDBKeyRange.bound('model/', 'model/\uffff'));
          request.onsuccess = () => resolve(request.result as string[]);
        };
      }),
  );
  expect(keys.length).toBe(2);
  await context.close();
});

test('if the browser denies access, the frame says so and works with its own store', async ({ server }) => {
  const context = await openBrowser('blocked');
  const page = await context.newPage();
  // The example page at phone width, before and after the click.
  await page.setViewportSize({ width: 375, height: 800 });
  await page.goto(`${elsewhere}/examples/chat.html?embed=${encodeURIComponent(`${server.origin}/embed.html`)}`);
  const frame = page.frameLocator('iframe');
  await expect(page.getByText('mixtab storyteller is ready.')).toBeVisible();
  await expectNoFindings(page, 'example');
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(375);
  await frame.getByRole('button', { name: /^Use the models I have/ }).scrollIntoViewIfNeeded();
  await frame.getByRole('button', { name: /^Use the models I have/ }).click();
  await expect(frame.getByText('The browser denied access')).toBeVisible();
  await expectNoFindings(page, 'example, not allowed');
  await page.getByRole('button', { name: 'Continue' }).click();
  await expect(page.getByText('60 tokens.')).toBeVisible();
  await context.close();
});

test('a frame on the same site shows no notice', async ({ page, server }) => {
  await page.goto(`${other.origin}/examples/chat.html?embed=${encodeURIComponent(`${server.origin}/embed.html`)}`);
  const frame = page.frameLocator('iframe');
  await expect(frame.getByText(`mixtab works here for ${other.origin}.`)).toBeVisible();
  await expect(frame.getByRole('button')).toHaveCount(0);
  await expect(frame.getByText('separate storage')).toBeHidden();
});
