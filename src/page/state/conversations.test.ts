/** Several tabs with one database, and a database that the browser deletes or does not write. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { browser } from './database-testing.ts';
import { FakeStorage } from './web-storage-testing.ts';

vi.mock('./database.ts', () => import('./database-testing.ts'));
vi.stubGlobal('document', { documentElement: { style: {} } });

const local = new FakeStorage();
vi.stubGlobal('localStorage', local);
/** The channels of all tabs of a test, so that it can close them. */
const channels: BroadcastChannel[] = [];
vi.stubGlobal(
  'BroadcastChannel',
  class extends BroadcastChannel {
    constructor(name: string) {
      super(name);
      channels.push(this);
    }
  },
);

/** A tab: its own copy of every module. */
async function openTab() {
  vi.resetModules();
  const tab = {
    ...(await import('./conversations.ts')),
    ...(await import('./conversation-tree.ts')),
    ...(await import('./settings.ts')),
    health: await import('./storage-health.ts'),
  };
  await Promise.all([tab.loadConversations(), tab.loadSettings()]);
  const turn = (id: string, parent: string | null, text: string) => ({
    id,
    parent,
    by: id.startsWith('q') ? ('user' as const) : ('model' as const),
    text,
    at: 1,
  });
  return {
    ...tab,
    begin(text: string): string {
      const { id } = tab.beginConversation('chat');
      tab.updateConversation(id, (before) => tab.addTurn(before, turn(`q-${text}`, null, text)));
      return id;
    },
    /** Asks, and begins an answer, which is not stored before it has text. */
    ask(id: string, name: string): void {
      const last = tab.currentPath.value.at(-1)?.id ?? null;
      tab.updateConversation(id, (before) => tab.addTurn(before, turn(`q-${name}`, last, `question ${name}`)));
      tab.updateConversation(id, (before) => tab.addTurn(before, turn(`a-${name}`, `q-${name}`, '')), {
        store: false,
      });
      tab.streaming.value = { conversationId: id, turnId: `a-${name}`, text: '' };
    },
    write(id: string, name: string, text: string): void {
      tab.updateConversation(id, (before) => tab.changeTurn(before, `a-${name}`, { text }));
    },
    shown: () => tab.currentPath.value.map(({ text }) => text),
    has: (id: string) =>
      tab.conversations.value.find((conversation) => conversation.id === id)?.turns.map(({ text }) => text),
  };
}

/** Texts in the store. */
const stored = (id: string): string[] | undefined =>
  (browser.databases.get('mixtab-chats')?.get(id) as { turns: { text: string }[] } | undefined)?.turns.map(
    ({ text }) => text,
  );

beforeEach(() => {
  vi.useFakeTimers();
  browser.databases.clear();
  browser.failure = browser.readFailure = browser.readDelay = undefined;
  browser.queue = Promise.resolve();
  local.values.clear();
});

afterEach(() => {
  vi.useRealTimers(); // no timer of a tab goes off after its test
  for (const channel of channels.splice(0)) channel.close();
});

it('keeps the answers of two tabs that write in the same conversation, and shows both in both', async () => {
  const a = await openTab();
  const id = a.begin('hello');
  await vi.waitFor(() => expect(stored(id)).toEqual(['hello']));
  const b = await openTab();
  expect(b.currentId.value).toBe(id);
  a.ask(id, 'A');
  b.ask(id, 'B');
  a.write(id, 'A', 'half');
  b.write(id, 'B', 'half');
  a.write(id, 'A', 'answer to A');
  a.streaming.value = undefined;
  await vi.waitFor(() => expect(b.has(id)).toContain('answer to A'));
  b.write(id, 'B', 'answer to B');
  b.streaming.value = undefined;
  const all = ['hello', 'question A', 'answer to A', 'question B', 'answer to B'].sort();
  await vi.waitFor(() => expect(a.has(id)?.toSorted()).toEqual(all));
  expect(b.has(id)?.toSorted()).toEqual(all);
  expect(stored(id)?.toSorted()).toEqual(all);
  // Neither page jumps to the other tab's answer.
  expect(a.shown()).toEqual(['hello', 'question A', 'answer to A']);
  expect(b.shown()).toEqual(['hello', 'question B', 'answer to B']);
});

it('deletes a conversation in every tab, but not what another tab is writing in it', async () => {
  const a = await openTab();
  const [first, second] = [a.begin('one'), a.begin('two')];
  await vi.waitFor(() => expect(stored(second)).toEqual(['two']));
  const b = await openTab();
  b.openConversation(second);
  b.ask(second, 'B');
  a.removeConversation(first);
  await vi.waitFor(() => expect(b.has(first)).toBeUndefined());
  expect(stored(first)).toBeUndefined();
  a.removeConversation(second);
  await vi.waitFor(() => expect(stored(second)).toEqual(['two', 'question B']));
  b.write(second, 'B', 'answer');
  await vi.waitFor(() => expect(a.has(second)).toEqual(['two', 'question B', 'answer']));
  a.undoDelete();
  await vi.waitFor(() => expect(a.has(second)).toEqual(['two', 'question B', 'answer']));
});

it('stores everything again if the browser has deleted the database, and says it once', async () => {
  const tab = await openTab();
  const ids = ['one', 'two', 'three'].map((text) => tab.begin(text));
  await vi.waitFor(() => expect(stored(ids[2])).toEqual(['three']));
  browser.databases.clear();
  tab.updateConversation(ids[1], (before) => ({ ...before, title: 'New title' }));
  await vi.waitFor(() => expect(ids.map(stored)).toEqual([['one'], ['two'], ['three']]));
  expect(tab.health.restoredConversations.value).toBe(3);
  tab.health.restoredConversations.value = 0;
  tab.renameConversation(ids[1], 'Another title');
  await tab.saveAgain();
  expect(tab.health.restoredConversations.value).toBe(0);
});

it('notices a deleted database or an older state of it without any change', async () => {
  const tab = await openTab();
  const id = tab.begin('one');
  await tab.saveAgain();
  const early = structuredClone(browser.databases.get('mixtab-chats')!);
  tab.ask(id, 'A');
  tab.write(id, 'A', 'answer');
  await tab.saveAgain();
  const other = tab.begin('two');
  await tab.saveAgain();
  browser.databases.set('mixtab-chats', early);
  await tab.checkStored();
  expect([stored(id), stored(other)]).toEqual([['one', 'question A', 'answer'], ['two']]);
  browser.databases.clear();
  await tab.checkStored();
  expect([stored(id), stored(other)]).toEqual([['one', 'question A', 'answer'], ['two']]);
});

it('does not store the same conversations again and again if several tabs notice the loss', async () => {
  const a = await openTab();
  const id = a.begin('one');
  await a.saveAgain();
  const b = await openTab();
  browser.databases.clear();
  await a.checkStored();
  await b.checkStored();
  await a.checkStored();
  expect(stored(id)).toEqual(['one']);
  expect([a.health.restoredConversations.value, b.health.restoredConversations.value]).toEqual([1, 0]);
});

it('keeps what cannot be stored, says so until it is stored, and tries again by itself', async () => {
  const tab = await openTab();
  browser.failure = new DOMException('no space', 'QuotaExceededError');
  const ids = [tab.begin('one'), tab.begin('two')];
  await tab.saveAgain();
  expect(tab.health.unsavedConversations.value?.name).toBe('QuotaExceededError');
  tab.renameConversation(ids[0], 'New title');
  await tab.saveAgain();
  expect([tab.health.unsavedConversations.value?.name, stored(ids[0])]).toEqual(['QuotaExceededError', undefined]);
  browser.failure = undefined;
  await vi.advanceTimersByTimeAsync(10_000);
  expect([tab.health.unsavedConversations.value, stored(ids[0]), stored(ids[1])]).toEqual([
    undefined,
    ['one'],
    ['two'],
  ]);
});

/** Waits until the tabs have copied what they have stored. */
const copied = (): Promise<unknown> => vi.advanceTimersByTimeAsync(3000);

/** Makes a conversation of which only the copy is left. @returns its id */
async function onlyCopied(): Promise<string> {
  const tab = await openTab();
  const id = tab.begin('one');
  await tab.saveAgain();
  await copied();
  browser.databases.clear();
  return id;
}

/** Texts in the copies, by conversation. */
const copyOf = (id: string): string | undefined => local.values.get(`mixtab-copy/${id}`);

it('says at the start that conversations were deleted while no tab was open', async () => {
  const tab = await openTab();
  tab.begin('one');
  tab.begin('two');
  await tab.saveAgain();
  expect((await openTab()).health.lostConversations.value).toBeUndefined();
  browser.databases.clear(); // before anything was copied
  expect((await openTab()).health.lostConversations.value).toEqual({ count: 2, restored: 0 });
  expect((await openTab()).health.lostConversations.value).toBeUndefined(); // once
});

it('restores conversations from copies if the database was deleted, says how many, and stores them', async () => {
  const tab = await openTab();
  const [first, second] = [tab.begin('one'), tab.begin('two')];
  tab.renameConversation(first, 'Title');
  await tab.saveAgain();
  await copied();
  tab.ask(second, 'A');
  tab.begin('three');
  await tab.saveAgain();
  browser.databases.clear();
  const next = await openTab();
  expect(next.health.lostConversations.value).toEqual({ count: 3, restored: 2 });
  expect(next.conversations.value.find(({ id }) => id === first)?.title).toBe('Title');
  await next.saveAgain();
  expect([stored(first), stored(second)]).toEqual([['one'], ['two']]);
  expect(next.health.restoredConversations.value).toBe(0); // it is said once
  expect((await openTab()).health.lostConversations.value).toBeUndefined();
});

it('copies conversations that were stored before there were copies', async () => {
  const tab = await openTab();
  const id = tab.begin('one');
  await tab.saveAgain();
  await openTab();
  expect(copyOf(id)).toBeUndefined();
  await copied();
  expect(copyOf(id)).toContain('one');
});

it('removes the copy of a deleted conversation at once, in any tab, and never restores it', async () => {
  const a = await openTab();
  const [first, second, third] = [a.begin('one'), a.begin('two'), a.begin('three')];
  await a.saveAgain();
  const b = await openTab();
  await copied();
  const late = copyOf(second)!;
  a.removeConversation(first);
  expect([copyOf(first), copyOf(second)?.includes('two')]).toEqual([undefined, true]);
  b.removeConversation(second);
  await Promise.all([a.saveAgain(), b.saveAgain()]);
  await copied();
  expect(local.text).not.toMatch(/one|two/);
  // A browser that is killed may not have written the removal to the disk.
  local.setItem(`mixtab-copy/${second}`, late);
  const next = await openTab();
  expect(copyOf(second)).toBeUndefined();
  browser.databases.clear();
  expect((await openTab()).conversations.value.map(({ id }) => id)).toEqual([third]);
  next.removeConversation(third);
  expect(local.text).not.toContain('three');
});

it('follows what another tab stores, copies and deletes while this one starts', async () => {
  const a = await openTab();
  const [first, second] = [a.begin('one'), a.begin('two')];
  await a.saveAgain();
  await copied();
  let go = (): void => {};
  vi.resetModules();
  const b = { ...(await import('./conversations.ts')), health: await import('./storage-health.ts') };
  const messages: unknown[] = [];
  new BroadcastChannel('mixtab-chats').onmessage = ({ data }) => messages.push(data);
  browser.readDelay = new Promise<void>((resolve) => (go = resolve));
  const loading = b.loadConversations();
  browser.readDelay = undefined;
  const third = a.begin('three');
  await a.saveAgain();
  a.removeConversation(first);
  await a.saveAgain();
  await copied();
  await vi.waitFor(() => expect(messages.flat()).toEqual([third, first]));
  go();
  await loading;
  const expected = [second, third].toSorted();
  await vi.waitFor(() => expect(b.conversations.value.map(({ id }) => id).toSorted()).toEqual(expected));
  await copied();
  expect([first, second, third].map((id) => copyOf(id) !== undefined)).toEqual([false, true, true]);
  expect(b.health.lostConversations.value).toBeUndefined();
});

it('keeps what the user imports before the database is read', async () => {
  const a = await openTab();
  const id = a.begin('one');
  await a.saveAgain();
  vi.resetModules();
  const b = await import('./conversations.ts');
  let go = (): void => {};
  browser.readDelay = new Promise<void>((resolve) => (go = resolve));
  const loading = b.loadConversations();
  b.addConversations([{ ...a.conversations.value[0], id: 'imported' }]);
  await b.saveAgain();
  go();
  await loading;
  expect(b.conversations.value.map((each) => each.id).toSorted()).toEqual([id, 'imported'].toSorted());
  expect(stored('imported')).toEqual(['one']);
});

it('says how many were restored if the number of stored ones is damaged', async () => {
  await onlyCopied();
  local.setItem('mixtab-stored', 'many');
  expect((await openTab()).health.lostConversations.value).toEqual({ count: 1, restored: 1 });
});

it('restores the end of a long conversation, and completes it from a tab that still has all of it', async () => {
  const a = await openTab();
  const id = a.begin('one');
  for (const [turnId, parent] of [
    ['x', 'q-one'],
    ['y', 'x'],
  ])
    a.updateConversation(id, (before) =>
      a.addTurn(before, { id: turnId, parent, by: 'user', text: turnId.repeat(80_000), at: 1 }),
    );
  await a.saveAgain();
  await copied();
  browser.databases.clear();
  const b = await openTab();
  await b.saveAgain();
  const lengths = (texts: string[] | undefined) => texts?.map(({ length }) => length);
  expect(lengths(stored(id))).toEqual([3, expect.any(Number), 80_000]);
  expect(stored(id)![1].length).toBeLessThan(30_000);
  await a.checkStored();
  expect(lengths(stored(id))).toEqual([3, 80_000, 80_000]);
  await vi.waitFor(() => expect(lengths(b.has(id))).toEqual([3, 80_000, 80_000]));
});

it('never replaces what is stored with an older copy', async () => {
  const tab = await openTab();
  const id = tab.begin('one');
  await tab.saveAgain();
  await copied();
  tab.ask(id, 'A');
  tab.renameConversation(id, 'New title');
  await tab.saveAgain();
  const next = await openTab();
  expect(next.has(id)).toEqual(['one', 'question A']);
  expect(next.health.lostConversations.value).toBeUndefined();
  await copied();
  expect([copyOf(id)?.includes('question A'), stored(id)]).toEqual([true, ['one', 'question A']]);
});

it('merges copies with an earlier state of the database, turn by turn', async () => {
  const tab = await openTab();
  const [first, second] = [tab.begin('one'), tab.begin('two')];
  await tab.saveAgain();
  tab.openConversation(second);
  const early = structuredClone(browser.databases.get('mixtab-chats')!);
  tab.ask(second, 'A');
  tab.streaming.value = undefined;
  const third = tab.begin('three');
  await tab.saveAgain();
  await copied();
  tab.renameConversation(first, 'Later');
  await tab.saveAgain();
  browser.databases.set('mixtab-chats', early);
  const next = await openTab();
  expect(next.health.lostConversations.value).toEqual({ count: 2, restored: 2 });
  await next.saveAgain();
  expect([first, second, third].map(stored)).toEqual([['one'], ['two', 'question A'], ['three']]);
});

it('restores copies once if two tabs start at the same time, and keeps what is deleted in one of them deleted', async () => {
  const tab = await openTab();
  const [first, second] = [tab.begin('one'), tab.begin('two')];
  await tab.saveAgain();
  await copied();
  browser.databases.clear();
  browser.failure = new DOMException('no space', 'QuotaExceededError');
  const [a, b] = [await openTab(), await openTab()];
  await Promise.all([a.saveAgain(), b.saveAgain()]);
  browser.failure = undefined;
  // The second tab has read the empty database, too, but stores its conversations only after the first one.
  a.removeConversation(first);
  await a.saveAgain();
  expect([stored(first), stored(second)]).toEqual([undefined, ['two']]);
  b.renameConversation(second, 'Title');
  await b.saveAgain();
  expect([stored(first), b.has(first), stored(second)]).toEqual([undefined, undefined, ['two']]);
  expect(b.conversations.value[0].title).toBe('Title');
});

it('restores conversations again at the next start if they could not be stored', async () => {
  const id = await onlyCopied();
  browser.failure = new DOMException('no space', 'QuotaExceededError');
  for (let start = 1; start <= 2; start++) {
    const next = await openTab();
    expect([next.has(id), next.health.lostConversations.value]).toEqual([['one'], { count: 1, restored: 1 }]);
    await next.saveAgain();
    expect(next.health.unsavedConversations.value).toBeDefined();
  }
});

it('shows copies while the database cannot be read, and stores them if it has lost the conversations', async () => {
  const id = await onlyCopied();
  browser.failure = browser.readFailure = new DOMException('Internal error opening backing store', 'UnknownError');
  const tab = await openTab();
  expect(tab.health.unreadConversations.value?.message).toContain('Internal error');
  expect(tab.conversations.value.map((conversation) => conversation.id)).toEqual([id]);
  browser.failure = browser.readFailure = undefined;
  const other = tab.beginConversation('chat');
  tab.updateConversation(other.id, (before) => ({ ...before, title: 'other' }));
  await tab.saveAgain();
  expect(stored(id)).toEqual(['one']);
  await vi.advanceTimersByTimeAsync(10_000); // it is read again
  expect(tab.health.unreadConversations.value).toBeUndefined();
  await copied();
  const next = await openTab();
  expect(next.conversations.value.map((conversation) => conversation.id).toSorted()).toEqual([id, other.id].toSorted());
  expect(next.health.lostConversations.value).toBeUndefined();
});

it('prefers what is stored to a copy if the database could not be read for a while', async () => {
  const tab = await openTab();
  const [first, second] = [tab.begin('one'), tab.begin('two')];
  await tab.saveAgain();
  await copied();
  tab.openConversation(first);
  tab.renameConversation(first, 'New title');
  tab.ask(first, 'A');
  tab.removeConversation(second);
  await tab.saveAgain();
  browser.failure = browser.readFailure = new DOMException('Internal error opening backing store', 'UnknownError');
  const next = await openTab();
  expect(next.conversations.value.map(({ turns }) => turns.length)).toEqual([1]);
  browser.failure = browser.readFailure = undefined;
  await vi.advanceTimersByTimeAsync(10_000);
  expect(next.conversations.value).toMatchObject([{ id: first, title: 'New title', turns: [{ text: 'one' }, {}] }]);
  expect([stored(first), stored(second)]).toEqual([['one', 'question A'], undefined]);
  expect(next.health.lostConversations.value).toBeUndefined();
});

/** Adds a message of the user at the end of what a tab shows. */
function addQuestion(tab: Awaited<ReturnType<typeof openTab>>, id: string, name: string): void {
  tab.openConversation(id);
  const last = tab.currentPath.value.at(-1)!.id;
  const question = { id: `q-${name}`, parent: last, by: 'user' as const, text: `question ${name}`, at: 1 };
  tab.updateConversation(id, (before) => tab.addTurn(before, question));
}

/** Nothing is answered until the returned function is called. */
function hang(): () => void {
  let answer = (): void => {};
  browser.queue = new Promise<void>((resolve) => (answer = resolve));
  return answer;
}

it('shows copies if the database does not answer, and merges them with all that is stored once it does', async () => {
  const tab = await openTab();
  const [first, second] = [tab.begin('one'), tab.begin('two')];
  await tab.saveAgain();
  await copied();
  const early = copyOf(second)!;
  addQuestion(tab, second, 'A');
  const third = tab.begin('three');
  await tab.saveAgain();
  const answer = hang();
  tab.removeConversation(first);
  const opening = openTab();
  await vi.advanceTimersByTimeAsync(9900);
  const { conversations } = await import('./conversations.ts');
  expect(conversations.value).toEqual([]);
  local.values.delete(`mixtab-copy/${third}`);
  local.setItem(`mixtab-copy/${second}`, early);
  await vi.advanceTimersByTimeAsync(100);
  const next = await opening;
  expect(next.conversations.value.map(({ id }) => id)).toEqual([second]);
  expect(next.health.unreadConversations.value?.name).toBe('TimeoutError');
  addQuestion(next, second, 'B');
  await vi.advanceTimersByTimeAsync(29_900);
  expect(next.health.unsavedConversations.value).toBeUndefined();
  await vi.advanceTimersByTimeAsync(20_000);
  expect(next.health.unsavedConversations.value?.name).toBe('TimeoutError');
  expect(copyOf(second)).toContain('question B'); // it is the only place that takes it now
  answer();
  await vi.waitFor(() => expect(next.has(third)).toEqual(['three']));
  await next.saveAgain();
  expect(next.has(second)?.toSorted()).toEqual(['question A', 'question B', 'two']);
  expect(stored(second)?.toSorted()).toEqual(['question A', 'question B', 'two']);
  expect(next.shown()).toEqual(['two', 'question B']);
  await vi.waitFor(() => expect(next.has(first)).toBeUndefined());
  expect([stored(third), stored(first)]).toEqual([['three'], undefined]);
  const { unreadConversations, unsavedConversations, lostConversations } = next.health;
  expect([unreadConversations.value, unsavedConversations.value, lostConversations.value]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});

it('restores what was written while the database did not answer, if the browser ends before it does', async () => {
  const tab = await openTab();
  const first = tab.begin('one');
  await tab.saveAgain();
  await copied();
  hang();
  addQuestion(tab, first, 'A');
  await vi.advanceTimersByTimeAsync(30_000);
  const second = tab.begin('two');
  await copied();
  browser.queue = Promise.resolve(); // of a browser that was started again
  const next = await openTab();
  expect([next.has(first), next.has(second)]).toEqual([['one', 'question A'], ['two']]);
  await next.saveAgain();
  expect([stored(first), stored(second)]).toEqual([['one', 'question A'], ['two']]);
  await copied();
  next.removeConversation(second);
  await next.saveAgain();
  expect((await openTab()).has(second)).toBeUndefined();
});

it('says what is lost if the database has lost conversations by the time it answers', async () => {
  const id = await onlyCopied();
  local.setItem('mixtab-stored', '3');
  const answer = hang();
  const opening = openTab();
  await vi.advanceTimersByTimeAsync(10_000);
  const tab = await opening;
  addQuestion(tab, id, 'A');
  answer();
  await vi.waitFor(() => expect(tab.health.lostConversations.value).toEqual({ count: 3, restored: 1 }));
  await tab.saveAgain();
  expect([stored(id), tab.shown()]).toEqual([
    ['one', 'question A'],
    ['one', 'question A'],
  ]);
});

it('adds an earlier state of the database to the copies that were shown meanwhile', async () => {
  const tab = await openTab();
  const id = tab.begin('one');
  await tab.saveAgain();
  const early = structuredClone(browser.databases.get('mixtab-chats')!);
  addQuestion(tab, id, 'A');
  await tab.saveAgain();
  await copied();
  browser.databases.set('mixtab-chats', early);
  const answer = hang();
  const opening = openTab();
  await vi.advanceTimersByTimeAsync(10_000);
  const next = await opening;
  expect(next.has(id)).toEqual(['one', 'question A']);
  answer();
  await vi.waitFor(() => expect(next.health.lostConversations.value).toEqual({ count: 1, restored: 1 }));
  await next.saveAgain();
  expect([stored(id), next.has(id)]).toEqual([
    ['one', 'question A'],
    ['one', 'question A'],
  ]);
});

it('writes no copies while nothing can be stored', async () => {
  const tab = await openTab();
  const id = tab.begin('one');
  await tab.saveAgain();
  browser.failure = new DOMException('no space', 'QuotaExceededError');
  tab.renameConversation(id, 'New title');
  await tab.saveAgain();
  await copied();
  expect(copyOf(id)).toBeUndefined();
  browser.failure = undefined;
  await tab.saveAgain();
  await copied();
  expect(copyOf(id)).toContain('New title');
});

it('does not open a conversation again that froze the page, but offers it', async () => {
  const first = await openTab();
  const id = first.begin('hostile');
  await first.saveAgain();
  // The page is frozen, so nothing of it runs any more. The next page starts later.
  vi.setSystemTime(Date.now() + 6000);
  const second = await openTab();
  const { notReopened } = await import('./unfinished-drawing.ts');
  expect([second.currentId.value, notReopened.value]).toEqual([undefined, id]);
  second.openConversation(id);
  expect([second.currentId.value, notReopened.value]).toEqual([id, undefined]);
});

it('stores no empty answer, and keeps an empty one that was answered', async () => {
  const tab = await openTab();
  const id = tab.begin('one');
  tab.ask(id, 'A');
  await tab.saveAgain();
  expect(stored(id)).toEqual(['one', 'question A']);
  expect(tab.has(id)).toEqual(['one', 'question A', '']);
  const answered = tab.addTurn(tab.current.value!, { id: 'q-B', parent: 'a-A', by: 'user', text: 'And?', at: 1 });
  expect(tab.removeEmptyAnswers(answered).turns).toHaveLength(4);
});

it('stores only the settings that changed, so tabs do not overwrite each other, and follows them', async () => {
  const [a, b] = [await openTab(), await openTab()];
  a.changeSettings({ context: 8192, storageBackend: 'opfs' });
  b.changeSettings({ appearance: 'dark', chatGeneration: { ...b.settings.value.chatGeneration, topK: 7 } });
  a.changeSettings({ chatGeneration: { ...a.settings.value.chatGeneration, topP: 0.5 } });
  const merged = {
    context: 8192,
    storageBackend: 'opfs',
    appearance: 'dark',
    chatGeneration: expect.objectContaining({ topK: 7, topP: 0.5 }),
  };
  await vi.waitFor(() => expect(a.settings.value).toMatchObject(merged));
  await vi.waitFor(() => expect(b.settings.value).toMatchObject(merged));
  expect((await openTab()).settings.value).toMatchObject(merged);
  a.changeSettings({ context: undefined }); // automatic again
  await vi.waitFor(() => expect(b.settings.value.context).toBeUndefined());
});

it('restores settings from a copy if the database was deleted', async () => {
  const tab = await openTab();
  tab.changeSettings({ threads: 2, chatGeneration: { ...tab.settings.value.chatGeneration, temperature: 0.3 } });
  await tab.saveSettings();
  browser.databases.clear();
  for (let visit = 1; visit <= 2; visit++) {
    const next = await openTab();
    await next.saveSettings();
    expect(next.settings.value).toEqual(tab.settings.value);
    local.values.delete('mixtab-settings'); // the second visit reads what the first one has stored
  }
  browser.databases.clear();
  local.setItem('mixtab-settings', '{');
  expect((await openTab()).settings.value.threads).toBeUndefined();
});

it('stores settings again that could not be stored', async () => {
  const tab = await openTab();
  browser.failure = new DOMException('no space', 'QuotaExceededError');
  tab.changeSettings({ threads: 2 });
  await vi.waitFor(() => expect(tab.health.unsavedSettings.value).toBeDefined());
  browser.failure = undefined;
  tab.changeSettings({ context: 512 });
  await vi.waitFor(() => expect(tab.health.unsavedSettings.value).toBeUndefined());
  expect((await openTab()).settings.value).toMatchObject({ threads: 2, context: 512 });
  const answer = hang();
  tab.changeSettings({ threads: 3 });
  await vi.advanceTimersByTimeAsync(30_000);
  expect(tab.health.unsavedSettings.value?.name).toBe('TimeoutError');
  answer();
  await vi.waitFor(() => expect(tab.health.unsavedSettings.value).toBeUndefined());
});
