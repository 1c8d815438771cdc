import { expect, it } from 'vitest';
import { blockCount, blockOf, standardError } from './blocks.ts';
import { pathCount, type RoutingTrace, routingOf } from './routing.ts';

it('counts expert usage and agreement of consecutive tokens per layer, but not across texts', () => {
  // Three tokens, two layers, two experts per token. The third token begins a new text.
  const selectedExperts = Uint8Array.from([0, 1, /**/ 2, 3, 0, 2, /**/ 1, 0, 0, 1, /**/ 1, 0]);
  const [first, second] = routingOf({
    selectedExperts,
    layerCount: 2,
    expertsPerToken: 2,
    expertCount: 4,
    starts: new Set([0, 2]),
  });
  expect(first.use.map((share) => Math.round(share * 6))).toEqual([3, 2, 1, 0]);
  expect(first).toMatchObject({ sameFirst: 1, sameAny: 1 });
  expect(second).toMatchObject({ sameFirst: 0, sameAny: 0 });
  expect(second.use.map((share) => Math.round(share * 6))).toEqual([2, 2, 1, 1]);
});

/** A trace of 2 layers, 2 of 4 experts: each token prefers the experts of the token before it. */
function madeUp(tokens: number): RoutingTrace {
  const selectedExperts = Uint8Array.from({ length: tokens * 4 }, (_, i) => {
    const [token, layer, rank] = [Math.floor(i / 4), Math.floor(i / 2) % 2, i % 2];
    const first = Math.floor((token * (layer + 3)) / 7) % 4;
    return rank === 0 ? first : (first + 1 + (token % 3)) % 4;
  });
  return { selectedExperts, layerCount: 2, expertsPerToken: 2, expertCount: 4, starts: new Set([0, 50]) };
}

it('gives errors and chances that equal a plain recount', () => {
  const tokens = 150;
  const trace = madeUp(tokens);
  const layers = routingOf(trace);
  for (const layer of [0, 1]) {
    const at = (token: number): number[] => [0, 1].map((rank) => trace.selectedExperts[token * 4 + layer * 2 + rank]);
    // 150 tokens are 4 blocks: tokens 0 .. 37, 38 .. 74, 75 .. 112, 113 .. 149.
    const blocks = [
      [0, 38],
      [38, 75],
      [75, 113],
      [113, 150],
    ].map(([from, to]) => Array.from({ length: to - from }, (_, i) => from + i));
    const error = (means: number[]): number => {
      const mean = means.reduce((a, b) => a + b) / 4;
      return Math.sqrt(means.map((m) => (m - mean) ** 2).reduce((a, b) => a + b) / 3 / 4);
    };
    const share = (expert: number) => (block: number[]) =>
      block.flatMap(at).filter((other) => other === expert).length / (2 * block.length);
    const repeats = (same: (a: number[], b: number[]) => boolean) => (block: number[]) => {
      const followers = block.filter((token) => token !== 0 && token !== 50);
      return followers.filter((token) => same(at(token), at(token - 1))).length / followers.length;
    };
    const any = (a: number[], b: number[]): boolean => a.some((expert) => b.includes(expert));
    const { errors, randomFirst, randomAny } = layers[layer];
    expect(errors!.blocks).toBe(4);
    for (const expert of [0, 1, 2, 3]) expect(errors!.use[expert]).toBeCloseTo(error(blocks.map(share(expert))), 12);
    expect(errors!.sameFirst).toBeCloseTo(error(blocks.map(repeats(([a], [b]) => a === b))), 12);
    expect(errors!.sameAny).toBeCloseTo(error(blocks.map(repeats(any))), 12);
    const all = Array.from({ length: tokens }, (_, token) => at(token));
    const pairs = all.flatMap((a) => all.map((b) => [a, b]));
    expect(randomFirst).toBeCloseTo(pairs.filter(([[a], [b]]) => a === b).length / pairs.length, 12);
    expect(randomAny).toBeCloseTo(pairs.filter(([a, b]) => any(a, b)).length / pairs.length, 12);
  }
  expect(routingOf(madeUp(63))[0].errors).toBeUndefined();
});

it('counts different paths, whatever the order of the experts', () => {
  const selectedExperts = Uint8Array.from([0, 1, 2, 3, /**/ 1, 0, 3, 2, /**/ 0, 1, 2, 1, /**/ 0, 1, 2, 3]);
  const shape = { layerCount: 2, expertsPerToken: 2, expertCount: 4, starts: new Set([0]) };
  expect(pathCount({ selectedExperts, ...shape })).toBe(2);
});

it('cuts a text into blocks of at least 32 tokens that differ by at most one', () => {
  expect([1, 63, 64, 150, 1e6].map(blockCount)).toEqual([1, 1, 2, 4, 64]);
  const sizes = [0, 0, 0, 0];
  for (let token = 0; token < 150; token++) sizes[blockOf(token, 150, 4)]++;
  expect(sizes).toEqual([38, 37, 38, 37]);
  expect(standardError([1, 3])).toBe(1);
});
