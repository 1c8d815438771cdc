/** Conversations in storage that the browser deletes, that is full, or that two tabs write at once. */
import { readFileSync } from 'node:fs';
import type { Page } from '@playwright/test';
import {
  expect,
  openPage,
  openTinyChat,
  SLOW_MS,
  setNumbers,
  storedSetting,
  type TestServer,
  test,
} from './fixtures.ts';

const messages = (page: Page) => page.getByRole('list', { name: 'Conversation' }).getByRole('listitem');
const titles = (page: Page) =>
  page
    .getByRole('navigation', { name: 'Conversations' })
    .getByRole('list')
    .getByRole('button', { name: /^(?!More)/ });

/** Imports chats with one message of the user each, or more. */
async function importChats(page: Page, names: readonly string[], messages = 1): Promise<void> {
  const conversations = names.map((name) => ({
    id: name,
    title: name,
    kind: 'chat',
    createdAt: 1,
    changedAt: 1,
    chosen: {},
    turns: Array.from({ length: messages }, (_, n) => ({
      id: `${n + 1}`,
      parent: n === 0 ? null : `${n}`,
      by: 'user',
      text: name,
      at: 1,
    })),
  }));
  const file = { format: 'mixtab-conversations', version: 1, conversations };
  await page
    .getByLabel('Conversations to import')
    .setInputFiles({ name: 'chats.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(file)) });
  await expect(titles(page).filter({ hasText: names.at(-1)! })).toBeVisible();
}

/** Turns of the first conversation, all versions included, as the page has them in memory. */
async function exportedTurns(page: Page): Promise<{ by: string; text: string; stats?: object }[]> {
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Export all' }).click(),
  ]);
  return JSON.parse(readFileSync(await download.path(), 'utf8')).conversations[0].turns;
}

/** Deletes all databases of the page, as Chromium does if the disk is full. */
async function deleteDatabases(page: Page, server: TestServer): Promise<void> {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Storage.clearDataForOrigin', { origin: server.origin, storageTypes: 'indexeddb' });
}

test('conversations that the browser deletes under the page are stored again, and the page says so', async ({
  page,
  server,
}) => {
  await openPage(page, server);
  await importChats(page, ['First', 'Second', 'Third']);
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('combobox', { name: 'Appearance' }).selectOption('Dark');
  await page.getByRole('button', { name: 'Close' }).click();
  await deleteDatabases(page, server);
  const notice = page.getByRole('alert').filter({ hasText: 'The browser had deleted what this page stores' });
  await expect(notice).toContainText('3 conversations');
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    notice.getByRole('button', { name: 'Export all conversations' }).click(),
  ]);
  expect(JSON.parse(readFileSync(await download.path(), 'utf8')).conversations).toHaveLength(3);
  await notice.getByRole('button', { name: 'Dismiss' }).click();
  await expect(notice).toBeHidden();
  await page.reload();
  await expect(titles(page)).toHaveText([/First|Second|Third/, /First|Second|Third/, /First|Second|Third/]);
  await expect(page.locator('html')).toHaveCSS('color-scheme', 'dark');
});

test('conversations that the browser deletes between two visits are restored from copies, deleted ones never', async ({
  page,
  server,
}) => {
  const copies = () =>
    page.evaluate(() => Object.entries(localStorage).filter(([key]) => key.startsWith('mixtab-copy/')));
  const remove = async (title: string): Promise<void> => {
    await page.getByRole('button', { name: `More options for ${title}` }).click();
    await page.getByRole('menuitem', { name: 'Delete' }).click();
  };
  const deleteBetweenVisits = async (): Promise<void> => {
    await page.goto('about:blank');
    await deleteDatabases(page, server);
    await page.goto(`${server.origin}/`);
  };
  await openPage(page, server);
  await importChats(page, ['First', 'Second', 'Third']);
  await expect.poll(async () => (await copies()).length).toBe(3);
  await remove('Second');
  expect(JSON.stringify(await copies())).not.toContain('Second');
  await deleteBetweenVisits();
  const notice = page.getByRole('alert').filter({ hasText: 'The browser has lost what this page stored of 2' });
  await expect(notice).toContainText('2 of 2 were restored from copies');
  await expect(titles(page)).toHaveText([/First|Third/, /First|Third/]);
  await notice.getByRole('button', { name: 'Dismiss' }).click();
  await page.reload();
  await expect(titles(page)).toHaveText([/First|Third/, /First|Third/]);
  await expect(notice).toBeHidden();
  await expect.poll(async () => (await copies()).length).toBe(2);
  for (const title of ['First', 'Third']) await remove(title);
  expect(await page.evaluate(() => JSON.stringify(localStorage))).not.toMatch(/First|Second|Third/);
  await deleteBetweenVisits();
  await expect(page.getByText('Your conversations appear here.')).toBeVisible();
  await expect(titles(page)).toHaveCount(0);
});

/** Keeps a transaction of the conversations' database open, so that others wait. @returns a function that ends it */
async function occupyDatabase(page: Page): Promise<() => Promise<void>> {
  await page.evaluate(
    () =>
      new Promise<void>((resolve) => {
        const open = indexedDB.open('mixtab-chats');
        open.onsuccess = () => {
          const store = open.result.transaction('conversations', 'readwrite').objectStore('conversations');
          const occupy = (): void => {
            if (!Reflect.get(globalThis, 'ended')) store.get('none').onsuccess = occupy;
            resolve();
          };
          occupy();
        };
      }),
  );
  return () => page.evaluate(() => void Reflect.set(globalThis, 'ended', true));
}

/** The titles in the conversations' database. */
const storedTitles = (page: Page): Promise<string[]> =>
  page.evaluate(
    () =>
      new Promise((resolve) => {
        const open = indexedDB.open('mixtab-chats');
        open.onsuccess = () => {
          const all = open.result.transaction('conversations').objectStore('conversations').getAll();
          all.onsuccess = () => {
            open.result.close();
            resolve(all.result.flatMap(({ title }: { title?: string }) => title ?? []));
          };
        };
      }),
  );

test('a database that does not answer at the start: copies are shown, and everything once it answers', async ({
  page,
  server,
  context,
}) => {
  await openPage(page, server);
  await importChats(page, ['First', 'Second']);
  const copied = () => page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith('mixtab-copy/')));
  await expect.poll(async () => (await copied()).length).toBe(2);
  // Until it is reloaded, the page would write the copy again.
  await page.evaluate(() => {
    Storage.prototype.setItem = () => {};
    for (const [key, value] of Object.entries(localStorage))
      if (key.startsWith('mixtab-copy/') && String(value).includes('Second')) localStorage.removeItem(key);
  });
  const other = await context.newPage();
  await other.goto(`${server.origin}/embedder.html`);
  const end = await occupyDatabase(other);
  await page.reload();
  const notice = page.getByRole('alert').filter({ hasText: 'The browser has not delivered your conversations yet' });
  await expect(notice).toContainText('Copies of the newest ones are shown');
  await expect(titles(page)).toHaveText(['First']);
  await expect(page.getByRole('button', { name: /mixtab storyteller/ })).toBeVisible(); // the model is loaded anyway
  await titles(page).dblclick();
  await page.getByRole('textbox', { name: 'Title' }).fill('Renamed');
  await page.getByRole('textbox', { name: 'Title' }).press('Enter');
  await expect(titles(page)).toHaveText(['Renamed']);
  await end();
  await expect(notice).toBeHidden();
  await expect(titles(page)).toHaveText([/Renamed|Second/, /Renamed|Second/]);
  await expect.poll(() => storedTitles(page)).toContain('Renamed');
  await page.reload();
  await expect(titles(page)).toHaveText([/Renamed|Second/, /Renamed|Second/]);
});

test('a full disk is said until the conversation is stored, and the page stores it by itself', async ({
  page,
  server,
}) => {
  await openPage(page, server);
  await importChats(page, ['First']);
  const cdp = await page.context().newCDPSession(page);
  const quota = (quotaSize?: number) =>
    cdp.send('Storage.overrideQuotaForOrigin', { origin: server.origin, ...(quotaSize && { quotaSize }) });
  await quota(1000);
  const notice = page.getByRole('alert').filter({ hasText: 'The disk is full, so your latest changes are not saved' });
  const tryAgain = notice.getByRole('button', { name: 'Try again' });
  let renames = 0;
  // Chromium asks for the quota only every half a minute.
  await expect(async () => {
    await titles(page).dblclick();
    await page.getByRole('textbox', { name: 'Title' }).fill(`Renamed ${++renames}`);
    await page.getByRole('textbox', { name: 'Title' }).press('Enter');
    await expect(notice).toBeVisible({ timeout: 3000 });
    // The page tries by itself, too, and may succeed before Chromium asks for the quota again.
    await expect(notice.getByRole('button', { name: 'Export all conversations' })).toBeVisible({ timeout: 1000 });
    await expect(notice.getByRole('button', { name: 'Dismiss' })).toHaveCount(0);
    await tryAgain.click({ timeout: 1000 });
    await expect(notice).toBeVisible({ timeout: 3000 });
  }).toPass();
  await quota();
  await expect(async () => {
    if (await tryAgain.isVisible()) await tryAgain.click({ timeout: 1000 });
    await expect(notice).toBeHidden({ timeout: 3000 });
  }).toPass();
  await page.reload();
  await expect(titles(page)).toHaveText([`Renamed ${renames}`]);
});

test('two tabs that write in the same conversation both keep both answers, and follow settings', async ({
  page,
  server,
  context,
}) => {
  server.msPerToken = SLOW_MS / 2;
  server.tokens = { asked: 0, limit: Number.POSITIVE_INFINITY };
  await openTinyChat(page, server);
  await setNumbers(page, { 'Max answer length': '100', Seed: '1' });
  const send = async (tab: Page, text: string): Promise<void> => {
    await tab.getByRole('textbox', { name: 'Message' }).fill(text);
    await tab.getByRole('textbox', { name: 'Message' }).press('Enter');
  };
  await send(page, 'First words');
  await expect(page.getByText(/tokens\/s/)).toHaveCount(1);
  const second = await context.newPage();
  await second.goto(`${server.origin}/`);
  await expect(messages(second)).toHaveCount(2); // it opens the same conversation
  await expect(second.getByRole('textbox', { name: 'Message' })).toHaveAttribute('placeholder', 'Send a message');
  // Neither answer ends before both messages are sent.
  server.tokens.limit = server.tokens.asked;
  await Promise.all([send(page, 'From the first tab'), send(second, 'From the second tab')]);
  await expect.poll(() => server.tokens!.asked).toBeGreaterThan(server.tokens.limit + 1);
  server.tokens.limit = Number.POSITIVE_INFINITY;
  for (const tab of [page, second]) {
    await expect(async () => {
      const turns = await exportedTurns(tab);
      expect(turns.map(({ text }) => text)).toEqual(
        expect.arrayContaining(['First words', 'From the first tab', 'From the second tab']),
      );
      expect(turns.filter(({ by, stats }) => by === 'model' && stats)).toHaveLength(3);
    }).toPass();
  }
  await second.getByRole('button', { name: 'Settings' }).click();
  await second.getByRole('combobox', { name: 'Appearance' }).selectOption('Dark');
  await expect(page.locator('html')).toHaveCSS('color-scheme', 'dark');
});

test('in Safari, a hint says from the second message on that unvisited pages lose their data', async ({
  page,
  server,
}) => {
  await page.addInitScript(() => {
    Object.defineProperty(Navigator.prototype, 'vendor', { get: () => 'Apple Computer, Inc.' });
    Object.defineProperty(StorageManager.prototype, 'persisted', { value: async () => false });
  });
  await openPage(page, server);
  const hint = page.getByRole('status').filter({ hasText: 'Safari deletes what a page stores' });
  await importChats(page, ['First']);
  await expect(hint).toBeHidden();
  await importChats(page, ['Second'], 2);
  await expect(hint).toContainText('if you do not visit it for seven days');
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    hint.getByRole('button', { name: 'Export all conversations' }).click(),
  ]);
  expect(JSON.parse(readFileSync(await download.path(), 'utf8')).conversations).toHaveLength(2);
  await page.reload();
  await expect(hint).toBeVisible();
  await hint.getByRole('button', { name: 'Dismiss' }).click();
  await expect(hint).toBeHidden();
  await expect.poll(() => storedSetting(page, 'sevenDaysHintDismissed')).toBe(true);
  await page.reload();
  await expect(titles(page)).toHaveCount(2);
  await expect(hint).toBeHidden();
});

test('a page on the home screen shows no hint about Safari', async ({ page, server }) => {
  await page.addInitScript(() => {
    Object.defineProperty(Navigator.prototype, 'vendor', { get: () => 'Apple Computer, Inc.' });
    Object.defineProperty(StorageManager.prototype, 'persisted', { value: async () => false });
    const real = matchMedia.bind(window);
    window.matchMedia = (query) => real(query.includes('standalone') ? 'all' : query);
  });
  await openPage(page, server);
  await importChats(page, ['First'], 2);
  await expect(page.getByText('Safari deletes what a page stores')).toHaveCount(0);
});
