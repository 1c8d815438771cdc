/** Access tokens for gated repositories: requested when needed, and sent nowhere else. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page } from '@playwright/test';
import { expect, importFrom, openLibrary, openPage, type TestServer, test } from './fixtures.ts';

const TOKEN = 'hf_e2eSecret';
const tokenField = (page: Page) => page.getByLabel('Hugging Face access token');

/** Mocks Hugging Face with one gated repository, and records each request with its token. */
async function mockHub(page: Page, server: TestServer): Promise<{ seen: string[] }> {
  const hub = { seen: [] as string[] };
  const cors = { 'access-control-allow-origin': '*' };
  await page.route('https://huggingface.co/**', async (route) => {
    const { pathname } = new URL(route.request().url());
    const { authorization } = await route.request().allHeaders();
    hub.seen.push(`${pathname} ${authorization ?? '-'}`);
    if (authorization !== `Bearer ${TOKEN}`) {
      await route.fulfill({ status: authorization === undefined ? 401 : 403, headers: cors });
    } else if (pathname === '/api/models/someone/gated/tree/main') {
      await route.fulfill({ json: [{ path: 'chat.gguf', size: 2e5 }], headers: cors });
    } else if (pathname === '/someone/gated/resolve/main/chat.gguf') {
      await route.fulfill({
        response: await route.fetch({
          url: `${server.origin}/chat.gguf`,
          headers: { range: (await route.request().allHeaders()).range },
        }),
      });
    } else await route.fulfill({ status: 404, headers: cors });
  });
  return hub;
}

/** @returns everything in IndexedDB and web storage, as text */
function storedText(page: Page): Promise<string> {
  return page.evaluate(async () => {
    const all: unknown[] = [Object.entries(localStorage), Object.entries(sessionStorage)];
    for (const { name } of await indexedDB.databases()) {
      const database = await new Promise<IDBDatabase>((resolve, reject) => {
        const open = indexedDB.open(name!);
        open.onsuccess = () => resolve(open.result);
        open.onerror = () => reject(open.error);
      });
      for (const store of database.objectStoreNames) {
        const values = await new Promise<unknown[]>((resolve, reject) => {
          const request = database.transaction(store).objectStore(store).getAll();
          request.onsuccess = () => resolve(request.result);
          request.onerror = () => reject(request.error);
        });
        all.push(name, values);
      }
      database.close();
    }
    return JSON.stringify(all);
  });
}

test('a gated repository is explained, and readable with a token that is stored nowhere', async ({ page, server }) => {
  const hub = await mockHub(page, server);
  await openPage(page, server);
  await importFrom(page, 'someone/gated');
  const alert = page.getByRole('alert');
  await expect(alert).toContainText('it is gated, private, or does not exist');
  await expect(alert).toContainText(
    'Accept the licence on https://huggingface.co/someone/gated, then enter an access token',
  );
  await tokenField(page).fill('hf_other');
  await importFrom(page, 'someone/gated');
  await expect(alert).toContainText('the account of this access token may not read it');
  await expect(alert).not.toContainText('hf_other');
  await tokenField(page).fill(TOKEN);
  await importFrom(page, 'someone/gated');
  await page.getByRole('button', { name: 'Import chat.gguf' }).click();
  await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
  expect(
    hub.seen.filter((line) => line.startsWith('/someone/gated/resolve')).every((line) => line.endsWith(TOKEN)),
  ).toBe(true);
  const stored = await storedText(page);
  expect(stored).toContain('someone/gated/resolve/main/chat.gguf'); // proves that the search covers the right place
  expect(stored).not.toContain(TOKEN);
});

test('an import that continues after a reload asks for the token again, unless it is remembered', async ({
  page,
  server,
}) => {
  await mockHub(page, server);
  await openPage(page, server);
  await openLibrary(page);
  await page.getByText('Hugging Face access token').first().click();
  await tokenField(page).fill(TOKEN);
  server.slow = true;
  await importFrom(page, 'https://huggingface.co/someone/gated/blob/main/chat.gguf');
  await expect(page.getByText(/ ([4-9]|1\d) of 20 records/)).toBeVisible();
  await page.getByRole('button', { name: 'Pause' }).click();
  await expect(page.getByRole('button', { name: 'Continue import of Tiny Chat' })).toBeVisible();
  server.slow = false;
  await page.reload();
  await page.getByRole('button', { name: 'Continue import of Tiny Chat' }).click();
  await expect(page.getByRole('alert')).toContainText('enter an access token of your account');
  await tokenField(page).fill(TOKEN);
  await page.getByRole('checkbox', { name: 'Remember on this device' }).check();
  await expect.poll(() => storedText(page)).toContain(TOKEN);
  await page.reload();
  await page.getByRole('button', { name: 'Continue import of Tiny Chat' }).click();
  await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();

  // Clearing the checkbox deletes the token.
  await openLibrary(page);
  await page.getByText('Hugging Face access token').first().click();
  await expect(tokenField(page)).toHaveValue(TOKEN);
  await page.getByRole('checkbox', { name: 'Remember on this device' }).uncheck();
  await expect.poll(() => storedText(page)).not.toContain(TOKEN);
});

test('this browser drops the token on a redirect to another origin', async ({ page, server }) => {
  const seen: (string | undefined)[] = [];
  const cors = { 'access-control-allow-origin': '*', 'access-control-allow-headers': 'authorization, range' };
  const listen = async (served: Server): Promise<string> => {
    await new Promise<void>((resolve) => served.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(served.address() as AddressInfo).port}`;
  };
  const store = createServer((request, response) => {
    if (request.method === 'GET') seen.push(request.headers.authorization);
    response.writeHead(200, cors).end('x');
  });
  const target = await listen(store);
  const gate = createServer((request, response) => {
    if (request.method === 'OPTIONS') response.writeHead(204, cors).end();
    else
      response
        .writeHead(302, { ...cors, location: target })
        .end(seen.push(`gate ${request.headers.authorization}`) && '');
  });
  const from = await listen(gate);
  await page.goto(`${server.origin}/embedder.html`); // the page itself fetches from no other site
  await page.evaluate(
    async (url) => (await fetch(url, { headers: { Authorization: 'Bearer hf_x', Range: 'bytes=0-1' } })).text(),
    from,
  );
  expect(seen).toEqual(['gate Bearer hf_x', undefined]);
  store.close();
  gate.close();
});
