import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addTurn,
  type Conversation,
  changeTurn,
  childrenOf,
  choose,
  createConversation,
  pathOf,
  removeTurn,
  textOf,
  titleFrom,
  versionsOf,
} from './conversation-tree.ts';
import { DEFAULT_GENERATION } from './generation-settings.ts';

const empty = (): Conversation => createConversation({ id: 'c', kind: 'chat', generation: DEFAULT_GENERATION }, 1);

/** Builds from "parent>child" pairs; the root is ''. */
function build(...links: string[]): Conversation {
  return links.reduce((conversation, link, i) => {
    const [parent, id] = link.split('>');
    return addTurn(conversation, { id, parent: parent || null, by: i % 2 ? 'model' : 'user', text: id, at: i });
  }, empty());
}

const shown = (conversation: Conversation): string => textOf(pathOf(conversation));

describe('the path', () => {
  it('follows the newest turn at each fork', () => {
    expect(shown(build('>a', 'a>b', 'b>c'))).toBe('abc');
    expect(shown(build('>a', 'a>b', 'b>c', 'a>x'))).toBe('ax');
    expect(shown(build('>a', 'a>b', '>d'))).toBe('d');
  });

  it('shows what followed a version when that version is chosen again', () => {
    const forked = build('>a', 'a>b', 'b>c', 'a>x', 'x>y');
    expect(shown(choose(forked, 'b'))).toBe('abc');
    expect(shown(choose(choose(forked, 'b'), 'x'))).toBe('axy');
    expect(shown(choose(choose(forked, 'b'), 'y'))).toBe('axy');
  });

  it('ends in a damaged record whose parents form a ring', () => {
    const ring = { ...build('>a', 'a>b'), chosen: { b: 'a' } };
    expect(shown({ ...ring, turns: [...ring.turns, { ...ring.turns[0], id: 'b', parent: 'b' }] }).length).toBeLessThan(
      5,
    );
  });
});

it('a text that was cut is no longer marked once it was continued, and until then it is', () => {
  const cut = changeTurn(build('>a', 'a>b'), 'b', { isCut: true });
  expect(changeTurn(cut, 'b', { text: 'b' }).turns[1]).toHaveProperty('isCut', true);
  expect(changeTurn(cut, 'a', { text: 'changed' }).turns[1]).toHaveProperty('isCut', true);
  const continued = changeTurn(cut, 'b', { text: 'b and more' });
  expect(continued.turns[1].text).toBe('b and more');
  expect(continued.turns[1]).not.toHaveProperty('isCut');
});

it('counts the versions of a turn', () => {
  const { versions, index } = versionsOf(build('>a', 'a>b', 'a>c', 'a>d'), 'c');
  expect([versions.map(({ id }) => id).join(''), index]).toEqual(['bcd', 1]);
});

it('shows an older version after one is removed; without any, the path ends there', () => {
  const forked = build('>a', 'a>b', 'a>c', 'c>d');
  expect(shown(removeTurn(forked, 'c'))).toBe('ab');
  expect(shown(removeTurn(removeTurn(forked, 'c'), 'b'))).toBe('a');
  expect(removeTurn(forked, 'c').turns.map(({ id }) => id)).toEqual(['a', 'b']);
});

it('makes a title from the beginning of the first message, cut at a word', () => {
  expect(titleFrom('  Hello\n there ')).toBe('Hello there');
  const long = titleFrom('word '.repeat(40));
  expect(long).toMatch(/^(word )+…$/);
  expect(long.length).toBeLessThanOrEqual(62);
  expect(addTurn(build('>a'), { id: 'z', parent: 'a', by: 'user', text: 'other', at: 9 }).title).toBe('a');
});

/** Any sequence of user actions on existing turns. */
type Step = { kind: 'add' | 'choose' | 'remove' | 'change'; pick: number };
const steps = fc.array(
  fc.record({
    kind: fc.constantFrom('add' as const, 'add' as const, 'choose' as const, 'change' as const, 'remove' as const),
    pick: fc.nat(),
  }),
  { maxLength: 40 },
);

function apply(conversation: Conversation, { kind, pick }: Step, i: number): Conversation {
  const { turns } = conversation;
  const target = turns[pick % (turns.length + 1)];
  if (kind === 'add')
    return addTurn(conversation, { id: `t${i}`, parent: target?.id ?? null, by: 'user', text: `${i}`, at: i });
  if (!target) return conversation;
  if (kind === 'choose') return choose(conversation, target.id);
  if (kind === 'change') return changeTurn(conversation, target.id, { text: 'changed' });
  return removeTurn(conversation, target.id);
}

it('keeps the path a chain from a root to a leaf, with the turn just added or chosen on it, after any actions', () => {
  fc.assert(
    fc.property(steps, (list) => {
      let conversation = empty();
      list.forEach((step, i) => {
        const before = conversation;
        conversation = apply(conversation, step, i);
        const path = pathOf(conversation);
        path.forEach((turn, depth) => {
          expect(turn.parent).toBe(depth === 0 ? null : path[depth - 1].id);
        });
        expect(childrenOf(conversation, path.at(-1)?.id ?? null)).toEqual([]);
        if (step.kind === 'add') expect(path.at(-1)?.id).toBe(`t${i}`);
        const target = before.turns[step.pick % (before.turns.length + 1)];
        if (step.kind === 'choose' && target) expect(path.map(({ id }) => id)).toContain(target.id);
        // Every turn has its parent.
        const ids = new Set(conversation.turns.map(({ id }) => id));
        for (const { parent } of conversation.turns) expect(parent === null || ids.has(parent)).toBe(true);
      });
    }),
  );
});
