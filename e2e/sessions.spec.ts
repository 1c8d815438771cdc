/** What the model has read of a conversation is kept: a reload, or a look at another one, costs no reading anew. */
import type { Page } from '@playwright/test';
import { expect, importFrom, openLibrary, openPage, setNumbers, type TestServer, test } from './fixtures.ts';

const messages = (page: Page) => page.getByRole('list', { name: 'Conversation' }).getByRole('listitem');
const list = (page: Page) =>
  page
    .getByRole('navigation', { name: 'Conversations' })
    .getByRole('list')
    .getByRole('button', { name: /^(?!More)/ });

/** Some 300 tokens for this model: a history that cannot be mistaken for the few new tokens. */
const LONG = 'the first men of that day had been there before us and '.repeat(12);
/** A short answer, a short message, and what the template puts around them; the answer may be other tokens when it is read. */
const FEW = 60;

async function openChat(page: Page, server: TestServer): Promise<void> {
  await openPage(page, server);
  await importFrom(page, `${server.origin}/chat.gguf`);
  await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
  await setNumbers(page, { 'Max answer length': '4', Seed: '1' });
}

/** Sends a message; returns what its answer's details tell. */
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

function keptSessions(page: Page): Promise<number> {
  return page.evaluate(
    () =>
      new Promise<number>((resolve, reject) => {
        const open = indexedDB.open('mixtab-sessions');
        open.onupgradeneeded = () => open.transaction?.abort(); // nothing was saved yet: must not be made by looking
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

/** As when the user looks at another tab. */
async function hide(page: Page): Promise<void> {
  await page.evaluate(() => {
    Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  });
}

test('after a reload, and after a look at another conversation, only what is new is read; deleting forgets', async ({
  page,
  server,
}) => {
  await openChat(page, server);
  const fresh = await say(page, LONG, 2);
  expect(fresh.prompt).toBeGreaterThan(200);
  expect(fresh.reused).toBeLessThan(5);
  await hide(page);
  await expect.poll(() => keptSessions(page)).toBe(1);

  await page.reload();
  const second = await say(page, 'and then', 4);
  expect(second.reused).toBeGreaterThanOrEqual(fresh.prompt - 5);
  expect(second.prompt - second.reused).toBeLessThan(FEW);

  // A second conversation takes the cache; each of them finds its own again.
  await page.getByRole('button', { name: 'New conversation' }).click();
  const other = await say(page, `Of whales ${LONG}`, 2);
  expect(other.reused).toBeLessThan(20);
  await list(page).nth(1).click();
  await expect(messages(page)).toHaveCount(4);
  const third = await say(page, 'and now', 6);
  expect(third.reused).toBeGreaterThanOrEqual(second.prompt - 5);
  // How much is read anew does not depend on how long the conversation is.
  expect(third.prompt - third.reused).toBeLessThan(FEW);
  await list(page).nth(1).click();
  await expect(messages(page)).toHaveCount(2);
  const otherAgain = await say(page, 'and there', 4);
  expect(otherAgain.reused).toBeGreaterThanOrEqual(other.prompt - 5);

  // How much of the disk it takes is said; it goes with its conversation, and with the model.
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

test('saved by itself when nothing is written for a while; switched off, nothing is kept', async ({ page, server }) => {
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

test('a full disk is told once, and no word is lost', async ({ page, server }) => {
  // The engine saves in its worker, whose script is served with the change in front of it.
  await page.route(/engine\.worker.*\.js$/, async (route) => {
    const response = await route.fetch();
    const full =
      'const put = IDBObjectStore.prototype.put; IDBObjectStore.prototype.put = function (...args) {' +
      'if (this.name === "sessions") throw new DOMException("full", "QuotaExceededError"); return put.apply(this, args); };';
    await route.fulfill({ response, body: `${full}\n${await response.text()}` });
  });
  await openChat(page, server);
  await say(page, LONG, 2);
  await hide(page);
  await expect(page.getByRole('alert')).toContainText(
    'The disk is full: what the model has read is not kept. No conversation is lost',
  );
  await page.getByRole('button', { name: 'Dismiss' }).click();
  expect((await say(page, 'and then', 4)).reused).toBeGreaterThan(200); // the GPU still has it
  await hide(page);
  await page.getByRole('button', { name: 'New conversation' }).click();
  await say(page, 'Another', 2);
  await expect(page.getByRole('alert')).toHaveCount(0);
  await list(page).nth(1).click();
  await expect(messages(page)).toHaveCount(4);
});

test('the experts’ view takes the cache, and the conversation gets its own back', async ({ page, server }) => {
  await openChat(page, server);
  const fresh = await say(page, LONG, 2);
  await page.getByRole('link', { name: 'Experts', exact: true }).click();
  await page.getByRole('navigation', { name: 'Experts' }).getByRole('link', { name: 'Routing' }).click();
  await page.getByRole('radio', { name: 'Custom text' }).check();
  await page.getByRole('button', { name: 'Read text' }).click();
  await expect(page.getByRole('listbox')).toBeVisible();
  await hide(page); // would save what was read, had it become the conversation's
  await page.getByRole('button', { name: 'Back to chat' }).click();
  const second = await say(page, 'and then', 4);
  expect(second.reused).toBeGreaterThanOrEqual(fresh.prompt - 5);
});
