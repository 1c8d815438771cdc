/** Copies of conversations in a localStorage that has limits, is blocked, or holds damaged data. */
import { beforeEach, expect, it, vi } from 'vitest';
import { copiedIds, MAX_COPY_UNITS, MAX_UNITS, readCopies, removeCopy, storeCopy } from './conversation-copies.ts';
import { addTurn, type Conversation, createConversation } from './conversation-tree.ts';
import { generationFrom } from './generation-settings.ts';
import { FakeStorage } from './web-storage-testing.ts';

let storage: FakeStorage;

beforeEach(() => {
  storage = new FakeStorage();
  vi.stubGlobal('localStorage', storage);
});

/** A conversation whose only turn was added at `at`. */
function conversation(id: string, at: number, text = `text of ${id}`): Conversation {
  const empty = createConversation({ id, kind: 'chat', generation: generationFrom(undefined) }, at);
  return addTurn(empty, { id: `turn-${id}`, parent: null, by: 'user', text, at });
}

const ids = (): string[] => readCopies().map(({ id }) => id);
const key = (id: string): string => `mixtab-copy/${id}`;
const LONG = 'x'.repeat(MAX_COPY_UNITS - 2000);
/** How many copies of {@link LONG} fit in. */
const FITTING = Math.floor(MAX_UNITS / MAX_COPY_UNITS);

it('reads what was stored, without empty answers', () => {
  const stored = conversation('a', 1);
  storeCopy(addTurn(stored, { id: 'answer', parent: 'turn-a', by: 'model', text: '', at: 1 }));
  expect(readCopies()).toEqual([{ ...stored, chosen: { '': 'turn-a' } }]);
});

it('replaces the copy of the same conversation, and leaves other values alone', () => {
  storage.setItem('mixtab-open', 'a');
  storeCopy(conversation('a', 1));
  storeCopy(conversation('a', 2, 'newer text'));
  expect(readCopies()).toEqual([conversation('a', 2, 'newer text')]);
  removeCopy('a');
  expect([...storage.values]).toEqual([['mixtab-open', 'a']]);
});

it('writes nothing if the copy is the same', () => {
  storeCopy(conversation('a', 1));
  const setItem = vi.spyOn(storage, 'setItem');
  storeCopy(conversation('a', 1));
  expect(setItem).not.toHaveBeenCalled();
});

it('keeps the newest conversations within the limit, whatever the order in which they are copied', () => {
  const times = Array.from({ length: 2 * FITTING }, (_, i) => 10 + ((7 * i) % (2 * FITTING)));
  for (const at of times) storeCopy(conversation(`c${at}`, at, LONG));
  const newest = times.toSorted((a, b) => b - a).slice(0, FITTING);
  expect(ids().toSorted()).toEqual(newest.map((at) => `c${at}`).toSorted());
  expect(storage.text.length).toBeLessThan(MAX_UNITS * 1.01);
  storeCopy(conversation('old', 1));
  expect(ids()).toContain('old'); // a short one still fits
});

it('never removes a newer copy for an older conversation, but its own earlier copy', () => {
  storeCopy(conversation('old', 1));
  for (let at = 10; at < 10 + FITTING; at++) storeCopy(conversation(`c${at}`, at, LONG));
  const before = ids().filter((id) => id !== 'old');
  storeCopy(conversation('old', 1, LONG));
  expect(ids()).toEqual(before);
});

/** A chat of `count` turns with 1 + `length` characters each. */
function chat(id: string, count: number, length: number, character = 'x'): Conversation {
  let chat = createConversation({ id, kind: 'chat', generation: generationFrom(undefined) }, 1);
  for (let n = 1; n <= count; n++) {
    const by = n % 2 === 1 ? ('user' as const) : ('model' as const);
    const text = `${n % 10}${character.repeat(length)}`;
    chat = addTurn(chat, { id: `t${n}`, parent: n === 1 ? null : `t${n - 1}`, by, text, at: n });
  }
  return chat;
}

it('keeps the newest texts of a conversation that is too long, and the beginnings of the others', () => {
  storeCopy(conversation('b', 1));
  const long = chat('a', 30, 10_000);
  storeCopy(addTurn(long, { id: 'other', parent: null, by: 'user', text: 'not shown', at: 40 }));
  expect(readCopies().find(({ id }) => id === 'a')).toMatchObject({ turns: [{ text: 'not shown' }] });
  storeCopy(long);
  const copy = readCopies().find(({ id }) => id === 'a')!;
  const lengths = copy.turns.map(({ text }) => text.length);
  expect(lengths.slice(-8)).toEqual(Array(8).fill(10_001));
  expect(lengths.slice(0, 20)).toEqual(Array(20).fill(200));
  expect(copy.turns.map(({ text }) => text[0]).join('')).toBe('123456789012345678901234567890');
  expect(storage.values.get(key('a'))!.length).toBeLessThanOrEqual(MAX_COPY_UNITS);
  expect(storage.values.get(key('a'))!.length).toBeGreaterThan(0.9 * MAX_COPY_UNITS);
});

it.each([['\n'], ['\u0000'], ['\ud83d\ude00']])('keeps a part of a text that is long in JSON, of %j', (character) => {
  storeCopy(chat('a', 3, 200_000 / character.length, character));
  const [copy] = readCopies();
  expect(copy.turns).toHaveLength(3);
  expect(copy.turns[2].text.length).toBeGreaterThan(5000);
  expect(copy.turns[2].text.isWellFormed()).toBe(true);
});

it('keeps the newest turns of a conversation that has too many', () => {
  storeCopy(chat('a', 1000, 1000));
  const [{ turns }] = readCopies();
  expect(turns.at(-1)).toMatchObject({ id: 't1000', text: `0${'x'.repeat(1000)}` });
  expect(turns[0]).toMatchObject({ id: `t${1001 - turns.length}`, missingBefore: { count: 1000 - turns.length } });
  expect(turns.filter(({ text }) => text.length === 1001).length).toBeGreaterThan(30);
  const { length } = storage.values.get(key('a'))!;
  expect(length).toBeLessThanOrEqual(MAX_COPY_UNITS);
  expect(length).toBeGreaterThan(0.6 * MAX_COPY_UNITS);
});

it('has no copy of a conversation that cannot be shortened, nor an earlier one', () => {
  storeCopy(conversation('b', 1));
  const long = chat('a', 2, 10);
  storeCopy(long);
  expect(ids().toSorted()).toEqual(['a', 'b']);
  const systemPrompt = 'x'.repeat(MAX_COPY_UNITS);
  storeCopy({ ...long, generation: { ...long.generation, systemPrompt } });
  expect(ids()).toEqual(['b']);
});

it('does not let conversations of the same time replace each other again and again', () => {
  const all = Array.from({ length: 2 * FITTING }, (_, n) => conversation(`c${n}`, 7, LONG));
  for (const each of all) storeCopy(each);
  const setItem = vi.spyOn(storage, 'setItem');
  for (const each of all) storeCopy(each);
  expect([ids().length, setItem.mock.calls.length]).toEqual([FITTING, 0]);
});

it('keeps the other copies if nothing can be written, as on a full disk', () => {
  for (let at = 1; at <= 10; at++) storeCopy(conversation(`c${at}`, at));
  vi.spyOn(storage, 'setItem').mockImplementation(() => {
    throw new DOMException('no space', 'QuotaExceededError');
  });
  for (const at of [11, 12]) storeCopy(conversation('new', at));
  expect(ids()).toEqual(expect.arrayContaining(['c7', 'c8', 'c9', 'c10']));
});

it('removes the oldest copies if localStorage is full, and its own earlier one if that is not enough', () => {
  storage.setItem('of another page', 'x'.repeat(4000));
  storage.maxUnits = 8000;
  for (const at of [1, 2, 3]) storeCopy(conversation(`c${at}`, at, 'x'.repeat(700)));
  expect(ids()).toEqual(['c1', 'c2', 'c3']);
  storeCopy(conversation('c4', 4, 'x'.repeat(1400)));
  expect(ids()).toEqual(['c3', 'c4']);
  storeCopy(conversation('c3', 3, 'y'.repeat(3000)));
  expect(ids()).toEqual(['c4']);
  storeCopy(conversation('c5', 5, 'x'.repeat(5000)));
  expect(ids()).toEqual([]);
  expect(storage.values.get('of another page')).toHaveLength(4000);
});

it('removes one copy, and names all', () => {
  for (const id of ['a', 'b', 'c']) storeCopy(conversation(id, 1));
  storage.setItem(key('damaged'), 'x');
  removeCopy('b');
  removeCopy('unknown');
  expect(ids()).toEqual(['a', 'c']);
  expect(copiedIds()).toEqual(['a', 'c', 'damaged']);
});

it('ignores damaged copies one by one, and gives their space to others first', () => {
  storeCopy(conversation('good', 1));
  const good = storage.values.get(key('good'))!;
  const damaged = {
    cut: good.slice(0, -10),
    version: good.replace(/^1/, '2'),
    header: good.slice(2),
    time: good.replace(/^1 \S+/, '1 later'),
    'no conversation': '1 5 {"id":"no conversation"}',
    'another id': good,
    empty: '',
  };
  for (const [id, value] of Object.entries(damaged)) storage.setItem(key(id), value);
  expect(ids()).toEqual(['good']);
  storage.setItem(key('header'), 'x'.repeat(MAX_UNITS - good.length - 1000));
  storeCopy(conversation('new', 2, 'x'.repeat(10_000)));
  expect(ids()).toEqual(['good', 'new']);
});

it('does nothing if localStorage is blocked', () => {
  vi.stubGlobal('localStorage', undefined);
  Object.defineProperty(globalThis, 'localStorage', {
    configurable: true,
    get: () => {
      throw new DOMException('blocked', 'SecurityError');
    },
  });
  storeCopy(conversation('a', 1));
  removeCopy('a');
  expect([readCopies(), copiedIds()]).toEqual([[], []]);
});
