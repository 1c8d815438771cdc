import { expect, it } from 'vitest';
import {
  type BanResult,
  type Bans,
  bannedList,
  bansFrom,
  bansText,
  commonLength,
  describeAblation,
  perplexityChange,
  toggleBan,
  toggleEverywhere,
} from './ablation.ts';

const SHAPE = { layerCount: 3, expertCount: 4, expertsPerToken: 2 };
const bansOf = (result: BanResult): Bans => ('bans' in result ? result.bans : expect.fail(result.refusal));

it('bans an expert and allows it again', () => {
  const one = bansOf(toggleBan(new Set(), 1, 2, SHAPE));
  expect(bannedList(one, 4)).toEqual([{ layer: 1, expert: 2 }]);
  expect(bansOf(toggleBan(one, 1, 2, SHAPE)).size).toBe(0);
});

it('refuses a ban that would leave a layer fewer experts than a token uses, and says why', () => {
  const two = bansOf(toggleBan(bansOf(toggleBan(new Set(), 1, 2, SHAPE)), 1, 0, SHAPE));
  const refused = toggleBan(two, 1, 3, SHAPE);
  expect(refused).toEqual({
    refusal: 'Layer 1 would have 1 of 4 experts left, but a token needs 2. Allow another expert in this layer first.',
  });
  expect(bannedList(bansOf(toggleBan(two, 2, 3, SHAPE)), 4)).toHaveLength(3);
  expect('refusal' in toggleEverywhere(two, 3, SHAPE)).toBe(true);
});

it('bans an expert in every layer, even if some layers ban it already, and allows it everywhere', () => {
  const begun = bansOf(toggleBan(new Set(), 2, 1, SHAPE));
  const all = bansOf(toggleEverywhere(begun, 1, SHAPE));
  expect(bannedList(all, 4)).toEqual([0, 1, 2].map((layer) => ({ layer, expert: 1 })));
  expect(bansOf(toggleEverywhere(all, 1, SHAPE)).size).toBe(0);
});

it('writes bans as short text and reads it, and refuses text that the model cannot follow', () => {
  const all = bansOf(toggleEverywhere(new Set(), 1, SHAPE));
  const both = bansOf(toggleBan(all, 2, 3, SHAPE));
  expect(bansText(both, SHAPE)).toBe('1,2.3');
  expect(bansFrom('1,2.3', SHAPE)).toEqual(both);
  expect(bansText(new Set(), SHAPE)).toBe('');
  for (const text of ['', 'none', '4', '3.0', '0,1,2']) expect(bansFrom(text, SHAPE).size).toBe(0);
});

it('describes an ablation', () => {
  const everywhere = [0, 1, 2].map((layer) => ({ layer, expert: 1 }));
  const others = [0, 1, 2, 3].map((expert) => ({ layer: 0, expert: expert + 2 }));
  expect(describeAblation({}, 3)).toBe('');
  expect(describeAblation({ expertsUsed: 1 }, 3)).toBe('first choice only');
  expect(describeAblation({ expertsUsed: 3 }, 3)).toBe('first 3 choices only');
  expect(describeAblation({ expertsUsed: 2, choicesSkipped: 1 }, 3)).toBe('second choice only');
  expect(describeAblation({ choicesSkipped: 1 }, 3)).toBe('without the first 1 choices');
  expect(describeAblation({ noise: { amount: 0.5, seed: 2 } }, 3)).toBe('router noise 0.5, seed 2');
  expect(describeAblation({ noise: { amount: 0, seed: 2 } }, 3)).toBe('');
  const swap = [
    { expert: 4, by: 7 },
    { expert: 7, by: 4 },
  ];
  expect(describeAblation({ replaced: swap }, 3)).toBe('experts 4 and 7 swapped');
  expect(describeAblation({ replaced: [{ by: 2 }] }, 3)).toBe('expert 2 for all');
  expect(describeAblation({ replaced: [...swap, { expert: 1, by: 2 }] }, 3)).toBe('3 experts replaced');
  expect(describeAblation({ randomSeed: 0, banned: [{ layer: 2, expert: 5 }] }, 3)).toBe(
    'random experts, seed 0; without expert 5 of layer 2',
  );
  expect(describeAblation({ banned: [...everywhere, { layer: 2, expert: 0 }] }, 3)).toBe(
    'without expert 1 of every layer, expert 0 of layer 2',
  );
  expect(describeAblation({ banned: [...everywhere, ...others] }, 3)).toBe('without expert 1 of every layer, 4 others');
  expect(describeAblation({ banned: others }, 3)).toBe('without 4 experts');
});

it('describes a change of perplexity', () => {
  expect([perplexityChange(10, 11), perplexityChange(10, 9.5), perplexityChange(10, 352)]).toEqual([
    '+10.0%',
    '−5.0%',
    '35.2 times',
  ]);
});

it('finds the length of a common prefix', () => {
  expect([commonLength('abc', 'abd'), commonLength('', 'a'), commonLength('ab', 'ab')]).toEqual([2, 0, 2]);
});
