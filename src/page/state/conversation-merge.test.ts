import { expect, it } from 'vitest';
import { keepShownPath, mergeConversations } from './conversation-merge.ts';
import {
  addTurn,
  type Conversation,
  changeTurn,
  choose,
  createConversation,
  pathOf,
  removeTurn,
  type Turn,
} from './conversation-tree.ts';
import { DEFAULT_GENERATION } from './generation-settings.ts';

const turn = (id: string, parent: string | null, text = id): Turn => ({
  id,
  parent,
  by: id.startsWith('q') ? 'user' : 'model',
  text,
  at: 1,
});
const empty = createConversation({ id: 'c', kind: 'chat', generation: DEFAULT_GENERATION }, 0);
const add = (conversation: Conversation, ...turns: Turn[]): Conversation => turns.reduce(addTurn, conversation);
/** As a record is after the store: the same data in other objects. */
const stored = (conversation: Conversation): Conversation => structuredClone(conversation);
const texts = ({ turns }: Conversation): Record<string, string> =>
  Object.fromEntries(turns.map(({ id, text }) => [id, text]));

const base = add(empty, turn('q', null), turn('a', 'q'));

it('keeps the questions and answers of both tabs', () => {
  const ours = add(base, turn('q1', 'a'), turn('a1', 'q1'));
  const theirs = stored(add(base, turn('q2', 'a'), turn('a2', 'q2')));
  const merged = mergeConversations(stored(base), ours, theirs);
  expect(texts(merged)).toEqual({ q: 'q', a: 'a', q1: 'q1', a1: 'a1', q2: 'q2', a2: 'a2' });
  // Each tab still shows its own.
  expect(pathOf(keepShownPath(ours, merged)).at(-1)?.id).toBe('a1');
  expect(pathOf(keepShownPath(theirs, merged)).at(-1)?.id).toBe('a2');
});

it('returns our own object if it holds everything already', () => {
  const ours = add(base, turn('q1', 'a'));
  expect(mergeConversations(stored(base), ours, stored(base))).toBe(ours);
  expect(mergeConversations(undefined, ours, stored(ours))).toBe(ours);
});

it('takes what the other tab changed, and keeps what this tab changed', () => {
  const ours = { ...base, title: 'Ours', generation: { ...base.generation, topK: 1 } };
  const theirs = {
    ...changeTurn(base, 'a', { text: 'longer' }),
    title: 'Theirs',
    modelName: 'M',
    generation: { ...base.generation, topP: 0.5 },
    changedAt: 9,
  };
  const merged = mergeConversations(base, ours, stored(theirs));
  expect(merged).toMatchObject({ title: 'Ours', modelName: 'M', changedAt: 9, generation: { topK: 1, topP: 0.5 } });
  expect(texts(merged).a).toBe('longer');
});

it('keeps the longer text if both tabs have the same answer in different states', () => {
  const state = (text: string): Conversation => changeTurn(base, 'a', { text });
  expect(texts(mergeConversations(base, state('It'), state('It was'))).a).toBe('It was');
  expect(texts(mergeConversations(undefined, state('It was'), state('It'))).a).toBe('It was');
});

it('makes two versions of an answer that both tabs continue, however often they write', () => {
  const texted = (conversation: Conversation, text: string): Conversation => changeTurn(conversation, 'a', { text });
  let store = base;
  // Both tabs write every other time. Each merges into the store, and continues with the result.
  const tabs = [
    { base, memory: base, text: 'a, one' },
    { base, memory: base, text: 'a, two' },
  ];
  for (let round = 0; round < 6; round++) {
    const tab = tabs[round % 2];
    tab.text += '.';
    tab.memory = texted(tab.memory, tab.text);
    store = stored(mergeConversations(tab.base, tab.memory, store));
    tab.memory = mergeConversations(tab.memory, tab.memory, store);
    tab.base = store;
  }
  expect(store.turns.length).toBeLessThanOrEqual(4);
  for (const { text } of tabs) expect(store.turns.some((version) => version.text.startsWith(text))).toBe(true);
  expect(new Set(store.turns.map(({ id }) => id)).size).toBe(store.turns.length);
});

it('removes what one tab removed, unless the other tab has answered it', () => {
  const removed = removeTurn(base, 'a');
  expect(texts(mergeConversations(base, removed, stored(base)))).toEqual({ q: 'q' });
  expect(texts(mergeConversations(base, base, stored(removed)))).toEqual({ q: 'q' });
  const answered = stored(add(base, turn('q1', 'a')));
  expect(texts(mergeConversations(base, removed, answered))).toEqual({ q: 'q', a: 'a', q1: 'q1' });
});

it('keeps the version that a tab shows if another tab chooses one', () => {
  const two = add(base, turn('b', 'q'));
  const other = choose(two, 'a');
  expect(pathOf(keepShownPath(two, other)).at(-1)?.id).toBe('b');
  // A path that only grows is followed.
  expect(pathOf(keepShownPath(base, add(base, turn('q1', 'a')))).at(-1)?.id).toBe('q1');
});

it('keeps a parent before its children', () => {
  const ours = add(base, turn('q1', 'a'), turn('a1', 'q1'));
  const theirs = add(base, turn('b', 'q'), turn('q2', 'b'));
  const seen = new Set<string | null>([null]);
  for (const { id, parent } of mergeConversations(base, ours, theirs).turns) {
    expect(seen).toContain(parent);
    seen.add(id);
  }
});
