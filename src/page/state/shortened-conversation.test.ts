/** Conversations that are shortened, and merged with the whole ones later. */
import { expect, it } from 'vitest';
import { mergeConversations } from './conversation-merge.ts';
import { conversationFrom } from './conversation-transfer.ts';
import { addTurn, type Conversation, choose, createConversation, pathOf } from './conversation-tree.ts';
import { generationFrom } from './generation-settings.ts';
import { shortened, unitsOf } from './shortened-conversation.ts';

const STATS = {
  promptTokens: 10,
  tokens: 10,
  tokensPerSecond: 1.5,
  prefillMs: 20,
  hitRate: 0.5,
  finishReason: 'stop' as const,
};

/** Twelve turns of 1000 characters, the fourth one with another version that is not shown. */
function long(kind: Conversation['kind'] = 'chat'): Conversation {
  let made = createConversation({ id: 'a', kind, generation: generationFrom(undefined) }, 1);
  for (let n = 1; n <= 12; n++) {
    const by = n % 2 === 1 ? ('user' as const) : ('model' as const);
    const fields = { parent: n === 1 ? null : `t${n - 1}`, by, at: n, ...(by === 'model' && { stats: STATS }) };
    made = addTurn(made, { ...fields, id: `t${n}`, text: `${n} `.padEnd(1000, 'word ') });
    if (n === 4) made = choose(addTurn(made, { ...fields, id: 'other', text: 'Another version' }), 't4');
  }
  return made;
}

const lengths = ({ turns }: Conversation): number[] => turns.map(({ text }) => text.length);

it('keeps the shown path: its end as a whole, and the beginnings of earlier texts', () => {
  const copy = shortened(long(), 10_000)!;
  expect(lengths(copy)).toEqual([200, 200, 200, 200, 200, 200, 200, 200, expect.any(Number), 1000, 1000, 1000]);
  expect(lengths(copy)[8]).toBeLessThan(1000);
  expect(unitsOf(copy)).toBeLessThanOrEqual(10_000);
  expect(pathOf(copy).map(({ id }) => id)).toEqual(pathOf(long()).map(({ id }) => id));
  expect(copy.turns.map(({ stats }) => stats !== undefined)).toEqual([...Array(9).fill(false), true, false, true]);
  expect(conversationFrom(JSON.parse(JSON.stringify(copy)))).toEqual(copy);
});

it('lets the model see only what is whole, from a message of the user on', () => {
  expect(shortened(long(), 10_000)!.seenFrom).toEqual({ turn: 't11', offset: 0 });
  expect(shortened(long('text'), 10_000)!.seenFrom).toEqual({ turn: 't10', offset: 0 });
  const left = { turn: 't12', offset: 3 };
  expect(shortened({ ...long('text'), seenFrom: left }, 10_000)!.seenFrom).toEqual(left);
  expect(shortened({ ...long(), seenFrom: { turn: 't3', offset: 0 } }, 10_000)!.seenFrom!.turn).toBe('t11');
});

it('gives up if not even the beginnings fit in', () => {
  expect(shortened(long(), 5000)).toBeUndefined();
});

it('loses nothing of the whole conversation in any merge', () => {
  const whole = long();
  const copy = shortened(whole, 10_000)!;
  expect(mergeConversations(undefined, whole, copy)).toBe(whole);
  for (const base of [undefined, copy]) {
    const merged = mergeConversations(base, copy, whole);
    expect(merged.turns.toSorted((a, b) => a.at - b.at)).toEqual(whole.turns.toSorted((a, b) => a.at - b.at));
    expect(pathOf(merged)).toEqual(pathOf(whole));
    expect(conversationFrom(merged)).toEqual(merged);
  }
});

it('merges with an earlier state, of which it has what was added', () => {
  const whole = long();
  const early = { ...whole, turns: whole.turns.filter(({ at }) => at <= 6) };
  const merged = mergeConversations(undefined, early, shortened(whole, 10_000)!);
  expect(pathOf(merged).map(({ text }) => text.length)).toEqual([
    ...Array(6).fill(1000),
    200,
    200,
    expect.any(Number),
    1000,
    1000,
    1000,
  ]);
  expect(conversationFrom(merged)).toEqual(merged);
});

it('cuts no character in half', () => {
  const emoji = { ...long(), turns: long().turns.map((turn) => ({ ...turn, text: '\u{1f600}'.repeat(500) })) };
  for (const limit of [9999, 10_000, 10_001])
    for (const { text } of shortened(emoji, limit)!.turns) expect(text.isWellFormed()).toBe(true);
});
