/** Drafts in tabs that are reloaded, closed and killed. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { browser } from './database-testing.ts';
import { FakeStorage } from './web-storage-testing.ts';

vi.mock('./database.ts', () => import('./database-testing.ts'));

/** What a tab keeps when it is reloaded. */
let session: Map<string, string>;
let local: FakeStorage;
/** Names of the locks that tabs hold, by tab. */
let locks: Map<object, string>;

/** Loads the module as a page that starts: in a new tab, or in one that is reloaded. */
async function startPage(from = new Map<string, string>()) {
  session = new Map(from);
  const page = {};
  const storage = session;
  vi.stubGlobal('sessionStorage', {
    getItem: (key: string) => storage.get(key) ?? null,
    setItem: (key: string, value: string) => void storage.set(key, value),
  });
  vi.stubGlobal('localStorage', local);
  vi.stubGlobal('navigator', {
    locks: {
      request: async (name: string) => void locks.set(page, name),
      query: async () => ({ held: [...locks.values()].map((name) => ({ name })) }),
    },
  });
  vi.resetModules();
  const drafts = await import('./drafts.ts');
  await drafts.loadDrafts();
  /** Ends the page, with or without what was typed last. */
  const end = async (isKilled = false): Promise<void> => {
    if (isKilled) vi.clearAllTimers();
    else await vi.advanceTimersByTimeAsync(600);
    locks.delete(page);
  };
  return { ...drafts, end };
}

beforeEach(() => {
  vi.useFakeTimers();
  locks = new Map();
  local = new FakeStorage();
  browser.databases.clear();
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it('restores the drafts of a browser that was killed, except those of the last half second', async () => {
  const first = await startPage();
  first.saveDraft('a', 'Dear');
  await vi.advanceTimersByTimeAsync(600);
  first.saveDraft('a', 'Dear Sir');
  first.saveDraft('', 'A new one');
  await vi.advanceTimersByTimeAsync(600);
  first.saveDraft('a', 'Dear Sir or Madam');
  await first.end(true);
  const second = await startPage();
  expect([second.draftOf('a'), second.draftOf(''), second.restoredDrafts.value]).toEqual(['Dear Sir', 'A new one', 1]);
  await second.end();
  expect((await startPage()).draftOf('a')).toBe('Dear Sir');
});

it('leaves the drafts of a tab that lives alone, and keeps its own over those of a tab that has ended', async () => {
  const first = await startPage();
  first.saveDraft('a', 'of the first');
  await vi.advanceTimersByTimeAsync(600);
  const second = await startPage();
  expect(second.draftOf('a')).toBe('');
  second.saveDraft('a', 'of the second');
  second.saveDraft('b', 'only there');
  await second.end();
  const third = await startPage();
  expect([third.draftOf('a'), third.draftOf('b')]).toEqual(['of the second', 'only there']);
  third.saveDraft('a', 'of the third');
  await first.end();
  await third.end();
  expect((await startPage()).draftOf('a')).toBe('of the third');
});

it('restores nothing that was sent just before a reload', async () => {
  const first = await startPage();
  first.saveDraft('a', 'Hello');
  await vi.advanceTimersByTimeAsync(600);
  first.saveDraft('a', '');
  await first.end(true); // a reload leaves the timer no time either
  const second = await startPage(session);
  expect(second.draftOf('a')).toBe('');
  second.saveDraft('b', 'unsent');
  await second.end(true);
  expect((await startPage(session)).draftOf('b')).toBe('unsent');
});

it('restores what is newer than what the browser restores of the tab', async () => {
  const first = await startPage();
  first.saveDraft('a', 'Hello');
  const early = new Map(session);
  await vi.advanceTimersByTimeAsync(3000);
  first.saveDraft('a', 'Hello again');
  await vi.advanceTimersByTimeAsync(600);
  await first.end(true);
  expect((await startPage(early)).draftOf('a')).toBe('Hello again');
});

it('keeps a limited number of drafts', async () => {
  const page = await startPage();
  for (let n = 0; n < 60; n++) page.saveDraft(`${n}`, 'text');
  expect([page.draftOf('9'), page.draftOf('10'), page.draftOf('59')]).toEqual(['', 'text', 'text']);
});

it('restores drafts from copies if the browser has deleted the database', async () => {
  const first = await startPage();
  first.saveDraft('a', 'Dear Sir');
  first.saveDraft('b', 'Hello');
  await vi.advanceTimersByTimeAsync(5000);
  const other = await startPage();
  other.saveDraft('c', 'of a tab that lives');
  await vi.advanceTimersByTimeAsync(5000);
  await first.end(true);
  browser.databases.clear();
  const second = await startPage();
  expect(['a', 'b', 'c'].map(second.draftOf)).toEqual(['Dear Sir', 'Hello', '']);
  expect(second.restoredDrafts.value).toBe(1);
  // Again, before the page has changed anything.
  await second.end(true);
  browser.databases.clear();
  const third = await startPage();
  expect(['a', 'b'].map(third.draftOf)).toEqual(['Dear Sir', 'Hello']);
  expect(local.length).toBe(2); // of the third page, and of the tab that lives
});

it('does not restore from a copy what was sent later', async () => {
  const first = await startPage();
  first.saveDraft('a', 'Hello');
  await vi.advanceTimersByTimeAsync(5000);
  first.saveDraft('a', '');
  await vi.advanceTimersByTimeAsync(600);
  await first.end(true);
  expect((await startPage()).draftOf('a')).toBe('');
  expect(local.length).toBe(0);
});

it('removes the copy once there are no drafts', async () => {
  const page = await startPage();
  page.saveDraft('a', 'Hello');
  await vi.advanceTimersByTimeAsync(5000);
  expect(local.length).toBe(1);
  page.saveDraft('a', '');
  await vi.advanceTimersByTimeAsync(5000);
  expect(local.length).toBe(0);
});

it('copies also while the database does not answer, but not while it refuses to store', async () => {
  const first = await startPage();
  browser.failure = new Error('full');
  first.saveDraft('a', 'on a full disk');
  await vi.advanceTimersByTimeAsync(5000);
  expect(local.length).toBe(0);
  browser.failure = undefined;
  first.saveDraft('a', 'with space again');
  await vi.advanceTimersByTimeAsync(5000);
  expect(local.text).toContain('with space again');
  browser.queue = new Promise(() => {});
  first.saveDraft('a', 'without an answer');
  await vi.advanceTimersByTimeAsync(5000);
  expect(local.text).toContain('without an answer');
  browser.queue = Promise.resolve();
});

it('copies the newest drafts, as many as fit in', async () => {
  const page = await startPage();
  page.saveDraft('a', 'old');
  page.saveDraft('b', 'x'.repeat(99_993));
  page.saveDraft('c', 'new');
  await vi.advanceTimersByTimeAsync(5000);
  await page.end(true);
  browser.databases.clear();
  const next = await startPage();
  expect([next.draftOf('a'), next.draftOf('b').length, next.draftOf('c')]).toEqual(['', 99_993, 'new']);
});
