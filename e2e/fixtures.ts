/** Fixtures of the journeys in Chromium: a server per test, and common steps. */
import { test as base, expect, type Page } from '@playwright/test';
import { startServer, type TestServer } from './server.ts';

export * from './server.ts';

/** The built-in model of the server: `real` for journeys that depend on its words, its numbers or its shape. */
interface Options {
  builtin: TestServer['builtin'];
}

export const test = base.extend<Options & { server: TestServer }>({
  builtin: ['stand-in', { option: true }],
  server: async ({ builtin }, use) => {
    const server = await startServer();
    server.builtin = builtin;
    await use(server);
    server.close();
  },
});

/** For journeys that need the service worker: offline, updates of the page. */
export const offlineTest = test.extend({ serviceWorkers: 'allow' });

export { expect };

/** Opens the page and waits until the built-in model is ready. */
export async function openPage(page: Page, { origin }: TestServer): Promise<void> {
  await page.goto(`${origin}/`);
  await expect(page.getByRole('button', { name: /mixtab storyteller/ })).toBeVisible();
  await expect(page.getByRole('button', { name: 'Once upon a time' })).toBeEnabled();
  // The model can be used before it is stored. Only then can another one be imported.
  await expect(page.getByText(/^Importing/)).toBeHidden();
}

/** Opens the page, imports the small chat model, and waits until it is ready. */
export async function openTinyChat(page: Page, server: TestServer): Promise<void> {
  await openPage(page, server);
  await importFrom(page, `${server.origin}/chat.gguf`);
  await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
}

export async function openLibrary(page: Page): Promise<void> {
  await page.getByRole('link', { name: 'Models' }).click();
  await expect(page.getByRole('heading', { name: 'Models', exact: true })).toBeVisible();
}

/** Sets numeric settings by their labels. */
export async function setNumbers(page: Page, values: Record<string, string>): Promise<void> {
  await page.getByRole('button', { name: 'Settings' }).click();
  for (const [name, value] of Object.entries(values)) {
    await page.getByRole('spinbutton', { name }).fill(value);
    await page.getByRole('spinbutton', { name }).blur();
  }
  await page.getByRole('button', { name: 'Close' }).click();
}

/**
 * `msPerToken` of the server, for journeys that watch an answer while it is generated: the CPU writes thousands of tokens
 * of a small model in a second or two. The GPU would be slow too, but takes seconds to compile its kernels.
 */
export const SLOW_MS = 40;

/** Chooses the GPU, and waits until the model is on it. */
export async function computeOnGpu(page: Page): Promise<void> {
  await computeWith(page, 'GPU');
  await expect(page.getByRole('banner').getByRole('button', { name: /GPU$/ })).toBeVisible();
}

/** Sets how much memory the model may take: of the GPU, or main memory, whichever computes. */
export async function setModelMemory(page: Page, megabytes: string): Promise<void> {
  await page.getByRole('button', { name: 'Settings' }).click();
  const field = page.getByRole('spinbutton', { name: /^(GPU|Main) memory \(MB\)$/ });
  await field.fill(megabytes);
  await field.blur();
  await page.getByRole('button', { name: 'Close' }).click();
}

/** Chooses what computes. The model is loaded again if that changes. */
export async function computeWith(page: Page, choice: 'Automatic' | 'GPU' | 'CPU'): Promise<void> {
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('radio', { name: choice, exact: true }).check();
  await page.getByRole('button', { name: 'Close' }).click();
}

/**
 * Clicks Stop as soon as the model has added `length` characters to a story. The page does this itself, because on the
 * CPU an answer of the built-in model can end before Playwright has seen its beginning.
 * @param start starts the answer
 */
export async function stopStoryAfter(page: Page, length: number, start: () => Promise<void>): Promise<void> {
  const stopped = page.evaluate(
    (added) =>
      new Promise<void>((resolve) => {
        const written = (): number =>
          [...document.querySelectorAll('.story .by-model')].reduce((sum, part) => sum + part.textContent!.length, 0);
        const before = written();
        const timer = setInterval(() => {
          const stop = [...document.querySelectorAll('button')].find(
            ({ textContent }) => textContent.trim() === 'Stop',
          );
          if (!stop || written() < before + added) return;
          clearInterval(timer);
          stop.click();
          resolve();
        }, 1);
      }),
    length,
  );
  await start();
  await stopped;
}

/** Enters an address on the models page and starts the import. */
export async function importFrom(page: Page, url: string): Promise<void> {
  await openLibrary(page);
  await page.getByRole('textbox', { name: 'GGUF address' }).fill(url);
  await page.getByRole('button', { name: 'Import', exact: true }).click();
}

/** @returns `[key, hash]` of every record of each stored model, by the file that it was imported from */
export function recordHashes(page: Page): Promise<Record<string, string[][]>> {
  return page.evaluate(
    () =>
      new Promise<Record<string, string[][]>>((resolve, reject) => {
        const open = indexedDB.open('mixtab-models');
        open.onerror = () => reject(open.error);
        open.onsuccess = () => {
          const request = open.result
            .transaction('models')
            .objectStore('models')
            .getAll(IDBKeyRange.bound('model/', 'model/\uffff'));
          request.onsuccess = () => {
            const manifests = request.result as { origin: string; records: { key: string; sha256: string }[] }[];
            resolve(
              Object.fromEntries(
                manifests.map(({ origin, records }) => [origin, records.map(({ key, sha256 }) => [key, sha256])]),
              ),
            );
          };
        };
      }),
  );
}

/** Overwrites the first part of a record in the store. */
export function damageRecord(page: Page, origin: string, key: string): Promise<void> {
  return page.evaluate(
    ([from, record]) =>
      new Promise<void>((resolve, reject) => {
        const open = indexedDB.open('mixtab-models');
        open.onerror = () => reject(open.error);
        open.onsuccess = () => {
          const models = open.result.transaction('models', 'readwrite').objectStore('models');
          const request = models.getAll(IDBKeyRange.bound('model/', 'model/\uffff'));
          request.onsuccess = () => {
            const { id } = (request.result as { id: string; origin: string }[]).find(
              (manifest) => manifest.origin === from,
            )!;
            models.put(new Blob(['damaged']), `record/${id}/${record}/0000`);
            models.transaction.oncomplete = () => resolve();
          };
        };
      }),
    [origin, key] as const,
  );
}

/** @returns a setting as it is stored, which takes a moment after a change */
export function storedSetting(page: Page, key: string): Promise<unknown> {
  return page.evaluate(
    (name) =>
      new Promise<unknown>((resolve, reject) => {
        const open = indexedDB.open('keyval-store');
        open.onerror = () => reject(open.error);
        open.onsuccess = () => {
          const request = open.result.transaction('keyval').objectStore('keyval').get('settings');
          request.onsuccess = () => {
            open.result.close();
            resolve((request.result as Record<string, unknown> | undefined)?.[name]);
          };
          request.onerror = () => reject(request.error);
        };
      }),
    key,
  );
}

/** @returns the names of the stored models, as the models page lists them */
export async function storedModels(page: Page): Promise<string[]> {
  await openLibrary(page);
  const names = await page
    .getByRole('list', { name: 'Stored models' })
    .getByRole('heading')
    .evaluateAll((all) => all.map((heading) => heading.firstChild?.textContent ?? ''));
  await page.getByRole('button', { name: 'Back to chat' }).click();
  return names;
}

/** @returns how many models have bytes in the store, listed or not */
export async function modelsWithBytes(page: Page): Promise<number> {
  const keys = await page.evaluate(
    () =>
      new Promise<string[]>((resolve, reject) => {
        const open = indexedDB.open('mixtab-models');
        open.onerror = () => reject(open.error);
        open.onsuccess = () => {
          const request = open.result.transaction('models').objectStore('models').getAllKeys();
          request.onsuccess = () => resolve(request.result as string[]);
        };
      }),
  );
  return new Set(keys.map((key) => key.split('/')[1])).size;
}
