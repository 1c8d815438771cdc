import { expect, it } from 'vitest';
import { addTurn, type Conversation, createConversation } from '../state/conversation-tree.ts';
import { DEFAULT_GENERATION } from '../state/generation-settings.ts';
import { groupByAge, search } from './conversation-search.ts';

const conversation = (id: string, text: string, changedAt = 0): Conversation => ({
  ...addTurn(createConversation({ id, kind: 'chat', generation: DEFAULT_GENERATION }, 0), {
    id: 't',
    parent: null,
    by: 'user',
    text,
    at: 0,
  }),
  title: `Title ${id}`,
  changedAt,
});

it('finds words in titles and messages, in any order and case', () => {
  const list = [conversation('one', 'The quick brown fox'), conversation('two', 'A slow fox')];
  expect(search(list, ' ').length).toBe(2);
  expect(search(list, 'FOX').map(({ conversation: { id } }) => id)).toEqual(['one', 'two']);
  expect(search(list, 'brown quick').map(({ snippet }) => snippet)).toEqual(['The quick brown fox']);
  expect(search(list, 'title two fox').length).toBe(1);
  expect(search(list, 'two')).toEqual([{ conversation: list[1] }]);
  expect(search(list, 'wolf')).toEqual([]);
});

it('shows the text around the match in a snippet', () => {
  const [{ snippet }] = search([conversation('x', `${'a '.repeat(100)}needle${' b'.repeat(100)}`)], 'needle');
  expect(snippet).toMatch(/^… (a )+needle( b)+ …$/);
  expect(snippet!.length).toBeLessThan(110);
});

it('groups conversations by calendar day', () => {
  const now = new Date(2026, 10, 23, 1).getTime();
  const hours = (h: number): number => now - h * 3_600_000;
  const list = [0.5, 2, 24, 26, 100, 1000].map((h, i) => conversation(`${i}`, '', hours(h)));
  const groups = groupByAge(
    list.map((item) => ({ conversation: item })),
    now,
  );
  expect(groups.map(({ age, results }) => `${age} ${results.length}`)).toEqual([
    'Today 1',
    'Yesterday 2',
    'Past week 2',
    'Older 1',
  ]);
});
