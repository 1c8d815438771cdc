/** What is deleted, reported and asked for so that conversations stay on the disk. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { browser } from '../state/database-testing.ts';
import { FakeStorage } from '../state/web-storage-testing.ts';
import { stubPage } from './page-testing.ts';

vi.mock('../state/database.ts', () => import('../state/database-testing.ts'));
stubPage();
const local = new FakeStorage();
vi.stubGlobal('localStorage', local);
/** What the browser says about the disk. */
let estimate = { usage: 1, quota: 2e9 };
const persist = vi.fn(async () => true);
vi.stubGlobal('navigator', {
  storage: { persist, persisted: async () => false, estimate: async () => estimate },
});

const { addTurn } = await import('../state/conversation-tree.ts');
const { beginConversation, checkStored, conversations, loadConversations, saveAgain, updateConversation } =
  await import('../state/conversations.ts');
const { storedSessions } = await import('../state/disk.ts');
const { generating } = await import('../state/generation.ts');
const { changeSettings } = await import('../state/settings.ts');
const { diskWasFull, saveFailure, unsavedConversations } = await import('../state/storage-health.ts');
const { StorageKeeper } = await import('./storage-keeper.ts');

const full = new DOMException('no space', 'QuotaExceededError');
let onRestored = vi.fn();
let cleared = 0;
let stop = (): void => {};

/** A keeper whose sessions, once they are cleared, leave `freed` as what writes fail with. */
async function startKeeper(freed?: Error): Promise<void> {
  const sessions = {
    clear: async () => {
      cleared++;
      storedSessions.value = [];
      browser.failure = freed;
    },
  };
  stop = new StorageKeeper({ sessions, onRestored }).start();
}

function say(id: string, text: string): void {
  updateConversation(id, (before) =>
    addTurn(before, { id: text, parent: before.turns.at(-1)?.id ?? null, by: 'user', text, at: 1 }),
  );
}

beforeEach(async () => {
  local.values.clear();
  browser.databases.clear();
  browser.failure = undefined;
  estimate = { usage: 1, quota: 2e9 };
  await loadConversations();
  storedSessions.value = [{ id: 's', modelId: 'm', bytes: 60e6 }];
  cleared = 0;
  onRestored = vi.fn();
  persist.mockClear();
});

afterEach(async () => {
  browser.failure = undefined;
  await saveAgain();
  stop();
});

it('deletes saved sessions before it reports a full disk, and reports nothing if that was enough', async () => {
  await startKeeper();
  browser.failure = full;
  const { id } = beginConversation('chat');
  say(id, 'one');
  await vi.waitFor(() => expect(browser.databases.get('mixtab-chats')?.get(id)).toBeDefined());
  expect([cleared, saveFailure.value]).toEqual([1, undefined]);
});

it('reports a full disk until everything is stored, conversations and settings', async () => {
  await startKeeper(full);
  browser.failure = full;
  say(beginConversation('chat').id, 'one');
  await vi.waitFor(() => expect(saveFailure.value?.code).toBe('storage-full'));
  changeSettings({ threads: 3 });
  await saveAgain();
  expect([cleared, saveFailure.value?.code]).toEqual([1, 'storage-full']);
  browser.failure = undefined;
  await saveAgain();
  expect(saveFailure.value?.code).toBe('storage-full'); // the settings are still missing
  changeSettings({ threads: 2 });
  await vi.waitFor(() => expect(saveFailure.value).toBeUndefined());
});

it('names another failure than a full disk', async () => {
  await startKeeper();
  browser.failure = new DOMException('blocked', 'UnknownError');
  say(beginConversation('chat').id, 'one');
  await vi.waitFor(() => expect(saveFailure.value?.code).toBe('storage-unavailable'));
  expect([saveFailure.value?.message, cleared]).toEqual([
    'The browser does not save your latest changes (UnknownError).',
    0,
  ]);
});

it('still speaks of a full disk when the browser no longer names the cause, until something is stored', async () => {
  const unexplained = new DOMException('Internal error opening backing store for indexedDB.open.', 'UnknownError');
  await startKeeper(full);
  browser.failure = full;
  say(beginConversation('chat').id, 'one');
  await vi.waitFor(() => expect(saveFailure.value?.code).toBe('storage-full'));
  browser.failure = unexplained;
  say(beginConversation('chat').id, 'two');
  await saveAgain();
  await vi.waitFor(() => expect(unsavedConversations.value).toBe(unexplained));
  expect(saveFailure.value?.code).toBe('storage-full');
  browser.failure = undefined;
  await saveAgain();
  await vi.waitFor(() => expect(saveFailure.value).toBeUndefined());
  expect(diskWasFull.value).toBe(true);
  diskWasFull.value = false;
  browser.failure = unexplained;
  say(beginConversation('chat').id, 'three');
  await vi.waitFor(() => expect(saveFailure.value?.code).toBe('storage-unavailable'));
  browser.failure = undefined;
  await saveAgain();
  await vi.waitFor(() => expect(saveFailure.value).toBeUndefined());
  expect(diskWasFull.value).toBe(false);
});

it('recognizes a full disk although the error gives no cause', async () => {
  estimate = { usage: 2e9, quota: 2e9 };
  await startKeeper(new DOMException('', 'AbortError'));
  browser.failure = new DOMException('Error storing record in object store', 'UnknownError');
  say(beginConversation('chat').id, 'one');
  await vi.waitFor(() => expect(saveFailure.value?.code).toBe('storage-full'));
  expect(cleared).toBe(1);
});

it('stores settings too after the browser has deleted everything', async () => {
  await startKeeper();
  say(beginConversation('chat').id, 'one');
  changeSettings({ context: 512 });
  await saveAgain();
  browser.databases.clear();
  await checkStored();
  await vi.waitFor(() =>
    expect(browser.databases.get('keyval-store')?.get('settings')).toMatchObject({ context: 512 }),
  );
  expect(browser.databases.get('mixtab-chats')?.size).toBe(conversations.value.length + 1);
  expect(onRestored).toHaveBeenCalledTimes(1);
});

it('asks the browser to keep the data after the second message of a conversation, once', async () => {
  await startKeeper();
  const answer = (): void => {
    generating.value = true;
    generating.value = false;
  };
  const { id } = beginConversation('chat');
  say(id, 'one');
  answer();
  expect(persist).not.toHaveBeenCalled();
  say(id, 'two');
  answer();
  await vi.waitFor(() => expect(persist).toHaveBeenCalledTimes(1));
  say(id, 'three');
  answer();
  await Promise.resolve();
  expect(persist).toHaveBeenCalledTimes(1);
});
