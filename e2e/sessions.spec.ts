/** The conversation cache: after a reload or a switch, only new tokens of a conversation are computed. */
import type { Page } from '@playwright/test';
import { computeWith, expect, openLibrary, openTinyChat, setNumbers, type TestServer, test } from './fixtures.ts';

const messages = (page: Page) => page.getByRole('list', { name: 'Conversation' }).getByRole('listitem');
const list = (page: Page) =>
  page
    .getByRole('navigation', { name: 'Conversations' })
    .getByRole('list')
    .getByRole('button', { name: /^(?!More)/ });

/** About 300 tokens for this model, far more than the few new tokens of a turn. */
const LONG = 'the first men of that day had been there before us and '.repeat(12);
/**
 * At most this many tokens are new in a turn: a short answer, a short message and the template around them. An answer
 * may have other tokens as part of a prompt than when it was generated.
 */
const FEW = 60;

/** Opens the page with a chat model and very short answers. */
async function openChat(page: Page, server: TestServer): Promise<void> {
  await openTinyChat(page, server);
  await setNumbers(page, { 'Max answer length': '4', Seed: '1' });
}

/** Sends a message and returns the token counts in the details of its answer. */
async function say(page: Page, text: string, count: number): Promise<{ reused: number; prompt: number }> {
  await expect(page.getByRole('button', { name: 'Send' })).toBeEnabled();
  await page.getByRole('textbox', { name: 'Message' }).fill(text);
  await page.getByRole('textbox', { name: 'Message' }).press('Enter');
  await expect(messages(page)).toHaveCount(count);
  await messages(page)
    .last()
    .getByText(/tokens\/s/)
    .click();
  const [, reused, prompt] = /(\d+) of (\d+) prompt tokens reused/.exec(await messages(page).last().innerText())!;
  return { reused: Number(reused), prompt: Number(prompt) };
}

/** @returns how many conversations are in the cache on disk */
function keptSessions(page: Page): Promise<number> {
  return page.evaluate(
    () =>
      new Promise<number>((resolve, reject) => {
        const open = indexedDB.open('mixtab-sessions');
        // If nothing is saved yet, looking must not create the database.
        open.onupgradeneeded = () => open.transaction?.abort();
        open.onerror = () => resolve(0);
        open.onsuccess = () => {
          const count = open.result
            .transaction('sessions')
            .objectStore('sessions')
            .count(IDBKeyRange.bound('header/', 'header/\uffff'));
          count.onsuccess = () => {
            open.result.close();
            resolve(count.result);
          };
          count.onerror = () => reject(count.error);
        };
      }),
  );
}

/** Makes the page believe that it is hidden, as when the user switches to another tab. */
async function hide(page: Page): Promise<void> {
  await page.evaluate(() => {
    Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  });
}

for (const kind of ['CPU', 'GPU'] as const) {
  test(`on the ${kind}, only new tokens are read after a reload or a switch, and a deleted conversation has no cache`, async ({
    page,
    server,
  }) => {
    await openChat(page, server);
    await computeWith(page, kind);
    const model = page.getByRole('button', { name: new RegExp(`Tiny Chat.*${kind}`) });
    await expect(model).toBeVisible();
    const fresh = await say(page, LONG, 2);
    expect(fresh.prompt).toBeGreaterThan(200);
    expect(fresh.reused).toBeLessThan(5);
    await hide(page);
    await expect.poll(() => keptSessions(page)).toBe(1);

    await page.reload();
    await expect(model).toBeVisible();
    const second = await say(page, 'and then', 4);
    expect(second.reused).toBeGreaterThanOrEqual(fresh.prompt - 5);
    expect(second.prompt - second.reused).toBeLessThan(FEW);

    // A second conversation replaces the first on the GPU. Each of them gets its own cache back.
    await page.getByRole('button', { name: 'New conversation' }).click();
    const other = await say(page, `Of whales ${LONG}`, 2);
    expect(other.reused).toBeLessThan(20);
    await list(page).nth(1).click();
    await expect(messages(page)).toHaveCount(4);
    const third = await say(page, 'and now', 6);
    expect(third.reused).toBeGreaterThanOrEqual(second.prompt - 5);
    // The number of new tokens does not depend on the length of the conversation.
    expect(third.prompt - third.reused).toBeLessThan(FEW);
    await list(page).nth(1).click();
    await expect(messages(page)).toHaveCount(2);
    const otherAgain = await say(page, 'and there', 4);
    expect(otherAgain.reused).toBeGreaterThanOrEqual(other.prompt - 5);

    // The settings show the disk use. The cache is deleted with its conversation and with its model.
    await page.getByRole('button', { name: 'Settings' }).click();
    await expect(page.getByText(/Now: [\d.]+ [kM]B for 2 conversations/)).toBeVisible();
    await page.getByRole('button', { name: 'Close' }).click();
    await page.getByRole('button', { name: /^More options for the first men/ }).click();
    await page.getByRole('menuitem', { name: 'Delete' }).click();
    await expect.poll(() => keptSessions(page)).toBe(1);
    await openLibrary(page);
    await expect(page.getByText(/[\d.]+ [kM]B of it is the conversation cache/)).toBeVisible();
    await page.getByRole('button', { name: 'Delete Tiny Chat' }).click();
    await page.getByRole('button', { name: 'Delete Tiny Chat' }).click();
    await expect.poll(() => keptSessions(page)).toBe(0);
  });
}

test('saves when the page is idle, and stores nothing if the setting is off', async ({ page, server }) => {
  await openChat(page, server);
  await say(page, LONG, 2);
  await expect.poll(() => keptSessions(page)).toBe(1);
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('checkbox', { name: 'Cache conversations' }).uncheck();
  await expect.poll(() => keptSessions(page)).toBe(0);
  await page.getByRole('button', { name: 'Close' }).click();
  await page.reload();
  expect((await say(page, 'and then', 4)).reused).toBeLessThan(5);
});

test('reports a full disk once, and no text is lost', async ({ page, server }) => {
  // The engine saves in its worker, so the worker's script is served with the change prepended.
  await page.route(/engine\.worker.*\.js$/, async (route) => {
    const response = await route.fetch();
    const full =
      'const put = IDBObjectStore.prototype.put; IDBObjectStore.prototype.put = function (...args) {' +
      'if (this.name === "sessions") throw new DOMException("full", "QuotaExceededError");' +
      'return put.apply(this, args); };';
    await route.fulfill({ response, body: `${full}\n${await response.text()}` });
  });
  await openChat(page, server);
  await say(page, LONG, 2);
  await hide(page);
  await expect(page.getByRole('alert')).toContainText(
    'The disk is full, so the conversation cache was not saved. Your conversations are safe.',
  );
  await page.getByRole('button', { name: 'Dismiss' }).click();
  expect((await say(page, 'and then', 4)).reused).toBeGreaterThan(200); // the cache on the GPU is still there
  await hide(page);
  await page.getByRole('button', { name: 'New conversation' }).click();
  await say(page, 'Another', 2);
  await expect(page.getByRole('alert')).toHaveCount(0);
  await list(page).nth(1).click();
  await expect(messages(page)).toHaveCount(4);
});

test('the experts view uses the cache, and the conversation gets its own back', async ({ page, server }) => {
  await openChat(page, server);
  const fresh = await say(page, LONG, 2);
  await page.getByRole('link', { name: 'Experts', exact: true }).click();
  await page.getByRole('navigation', { name: 'Experts' }).getByRole('link', { name: 'Routing' }).click();
  await page.getByRole('radio', { name: 'Custom text' }).check();
  await page.getByRole('button', { name: 'Read text' }).click();
  await expect(page.getByRole('listbox')).toBeVisible();
  await hide(page); // would save the experiment's cache, if it counted as the conversation's
  await page.getByRole('button', { name: 'Back to chat' }).click();
  const second = await say(page, 'and then', 4);
  expect(second.reused).toBeGreaterThanOrEqual(fresh.prompt - 5);
});
