/** Conversations that are shortened, and merged with the whole ones later. */
import { expect, it } from 'vitest';
import { mergeConversations } from './conversation-merge.ts';
import { conversationFrom } from './conversation-transfer.ts';
import { addTurn, type Conversation, choose, createConversation, pathOf, type Turn } from './conversation-tree.ts';
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
  expect(copy.turns.map(({ isCut }) => isCut)).toEqual([...Array(9).fill(true), undefined, undefined, undefined]);
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

const idsOf = (turns: readonly Turn[]): string[] => turns.map(({ id }) => id);

it('keeps the newest turns if not all beginnings fit in, and marks where others are missing', () => {
  const copy = shortened(long(), 6000)!;
  expect(idsOf(pathOf(copy))).toEqual(['t8', 't9', 't10', 't11', 't12']);
  expect(copy.turns[0]).toMatchObject({ parent: null, missingBefore: { parent: 't7', count: 7 } });
  expect(copy.turns.slice(1).some(({ missingBefore }) => missingBefore)).toBe(false);
  expect(lengths(copy).slice(-2)).toEqual([1000, 1000]); // half of the space is for whole texts
  expect(copy.seenFrom).toEqual({ turn: 't11', offset: 0 });
  expect(unitsOf(copy)).toBeLessThanOrEqual(6000);
  expect(conversationFrom(JSON.parse(JSON.stringify(copy)))).toEqual(copy);
  // The copy of a conversation that was restored from a copy.
  const again = shortened(copy, 3200)!;
  expect(again.turns[0]).toMatchObject({ id: 't11', missingBefore: { parent: 't10', count: 10 } });
  expect(shortened(long(), 1100)).toBeUndefined();
});

it.each([10_000, 6000])('loses nothing of the whole conversation in any merge with a copy of %i units', (limit) => {
  const whole = long();
  const copy = shortened(whole, limit)!;
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

/** The conversation as it was after so many turns of its path. */
function after(turns: number): Conversation {
  const whole = long();
  return { ...whole, turns: whole.turns.filter(({ at }) => at <= turns) };
}

it('a copy without earlier turns is added to an earlier state that has them, or some of them', () => {
  const copy = shortened(long(), 6000)!; // from t8 on
  for (const [turns, missing] of [
    [9, undefined],
    [7, undefined],
    [6, { parent: 't7', count: 7 }], // t7 is missing on both sides
    [2, { parent: 't7', count: 7 }],
  ] as const) {
    const early = after(turns);
    for (const [ours, theirs] of [
      [early, copy],
      [copy, early],
    ]) {
      const merged = mergeConversations(undefined, ours, theirs);
      const path = pathOf(merged);
      expect(idsOf(path)).toEqual([...idsOf(pathOf(early)).slice(0, 7), 't8', 't9', 't10', 't11', 't12']);
      expect(path.find(({ id }) => id === 't8')!.missingBefore).toEqual(missing);
      expect(conversationFrom(merged)).toEqual(merged);
      expect(mergeConversations(undefined, merged, copy)).toBe(merged);
      // Once the whole conversation is found, nothing is missing.
      const found = mergeConversations(undefined, long(), merged);
      expect(new Map(found.turns.map((turn) => [turn.id, turn]))).toEqual(
        new Map(long().turns.map((turn) => [turn.id, turn])),
      );
      expect(pathOf(found)).toEqual(pathOf(long()));
    }
  }
});

it('what was written after a copy was restored stays behind it', () => {
  const restored = shortened(long(), 6000)!;
  const continued = addTurn(restored, { id: 't13', parent: 't12', by: 'user', text: 'More', at: 13 });
  for (const base of [undefined, restored]) {
    const merged = mergeConversations(base, continued, long());
    expect(idsOf(pathOf(merged))).toEqual([...idsOf(pathOf(long())), 't13']);
    expect(merged.turns.some(({ missingBefore }) => missingBefore)).toBe(false);
  }
});

it('cuts no character in half', () => {
  const emoji = { ...long(), turns: long().turns.map((turn) => ({ ...turn, text: '\u{1f600}'.repeat(500) })) };
  for (const limit of [9999, 10_000, 10_001])
    for (const { text } of shortened(emoji, limit)!.turns) expect(text.isWellFormed()).toBe(true);
});
