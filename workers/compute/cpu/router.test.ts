import { describe, expect, it } from 'vitest';
import { expertId, expertIndex, layerIndex } from '../../../src/contract/ids.ts';
import { changedRoute, noisyOrder, route } from '../../reference/router.ts';
import { threefry2x32 as referenceThreefry } from '../../reference/sample.ts';
import type { RouterStateOptions } from '../compute.ts';
import { type RouterInputs, routerOptionsOf, selectExperts } from './router.ts';
import { threefry2x32 } from './threefry.ts';

type Case = Partial<Omit<RouterInputs, 'options' | 'logits'>> & { options?: RouterStateOptions };

const select = (logits: number[] | Float32Array, { options = {}, ...more }: Case = {}) => {
  const { selectedExperts, weights } = selectExperts({
    logits: Float32Array.from(logits),
    layer: layerIndex(0),
    position: 0,
    expertsPerToken: 2,
    options: routerOptionsOf(options),
    ...more,
  });
  return { selectedExperts: [...selectedExperts], weights: [...weights] };
};

const id = (layer: number, expert: number) => expertId(layerIndex(layer), expertIndex(expert), 8);

/** Numbers between -2 and 2. */
const someLogits = (count: number, seed: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => 4 * (referenceThreefry([seed, 0], [i, 0])[0] / 2 ** 32) - 2);

describe('selectExperts', () => {
  it.each([
    [2, 1],
    [8, 2],
    [16, 16],
    [60, 4],
    [300, 8],
  ])('agrees with the reference for %i experts, %i per token', (expertCount, expertsPerToken) => {
    for (let seed = 0; seed < 20; seed++) {
      const logits = someLogits(expertCount, seed);
      const expected = route(logits, expertsPerToken);
      const actual = select(logits, { expertsPerToken });
      expect(actual.selectedExperts).toEqual(expected.selectedExperts);
      for (const [rank, weight] of actual.weights.entries()) expect(weight).toBeCloseTo(expected.weights[rank], 6);
    }
  });

  it('prefers the lower index of equal logits, and ranks NaN last', () => {
    expect(select([-0, 0, -0, -1], { expertsPerToken: 4 }).selectedExperts).toEqual([0, 1, 2, 3]);
    expect(select([Number.NaN, -3, Number.NEGATIVE_INFINITY, 2], { expertsPerToken: 3 }).selectedExperts).toEqual([
      3, 1, 2,
    ]);
  });

  it('never selects a banned expert of its layer', () => {
    const banned = [id(1, 1), id(1, 3), id(0, 2)];
    const logits = [0, 9, 5, 8, 4, 1, 2, 3];
    const actual = select(logits, { layer: layerIndex(1), options: { banned } });
    expect(actual.selectedExperts).toEqual([2, 4]);
    expect(actual.weights[0]).toBeCloseTo(1 / (1 + Math.exp(-1)), 6);
  });

  it('draws random experts by seed, layer and position, weighted by the router', () => {
    const logits = someLogits(8, 1);
    for (let position = 0; position < 32; position++) {
      const keys = Array.from({ length: 8 }, (_, e) => (referenceThreefry([5, 3], [position, e])[0] | 1) >>> 0);
      const [a, b] = route(keys, 2).selectedExperts;
      const actual = select(logits, { layer: layerIndex(3), position, options: { randomSeed: 5 } });
      expect(actual.selectedExperts).toEqual([a, b]);
      expect(actual.weights[0]).toBeCloseTo(1 / (1 + Math.exp(logits[b] - logits[a])), 6);
    }
  });

  it('uses only the first expertsUsed experts', () => {
    const actual = select([0, 5, 1, 4, 3, 2, 0, 0], { expertsPerToken: 4, options: { expertsUsed: 2 } });
    expect(actual.selectedExperts).toEqual([1, 3, 1, 1]);
    expect(actual.weights[0]).toBeCloseTo(1 / (1 + Math.exp(-1)), 6);
    expect(actual.weights.slice(2)).toEqual([0, 0]);
  });

  it.each([
    [2, 1, 2],
    [2, 1, 1],
    [4, 2, 3],
    [8, 7, 8],
  ])('of %i experts skips %i and uses those before rank %i', (expertsPerToken, choicesSkipped, last) => {
    const logits = someLogits(8, 2);
    const options = { choicesSkipped, expertsUsed: Math.max(1, last - choicesSkipped) };
    const { selectedExperts, weights } = select(logits, { expertsPerToken, options });
    const want = changedRoute(logits, expertsPerToken, {
      ranks: [choicesSkipped, choicesSkipped + options.expertsUsed],
    });
    const used = want.selectedExperts.length;
    expect(selectedExperts).toEqual([
      ...want.selectedExperts,
      ...new Array(expertsPerToken - used).fill(want.selectedExperts[0]),
    ]);
    for (const [rank, weight] of weights.entries()) expect(weight).toBeCloseTo(want.weights[rank] ?? 0, 6);
  });

  it('uses the second choice if there are no others, however small its score', () => {
    expect(select([900, -900], { options: { choicesSkipped: 1, expertsUsed: 1 } })).toEqual({
      selectedExperts: [1, 1],
      weights: [1, 0],
    });
  });

  it('lets another expert of the layer compute in place of a picked one, with its weight', () => {
    const replaced = new Map([
      [id(1, 2), expertIndex(5)],
      [id(1, 5), expertIndex(2)],
      [id(0, 0), expertIndex(7)],
    ]);
    for (let seed = 0; seed < 20; seed++) {
      const logits = someLogits(8, seed);
      const standIn = (expert: number) => ({ 2: 5, 5: 2 })[expert] ?? expert;
      const want = changedRoute(logits, 2, { standIn });
      const actual = select(logits, { layer: layerIndex(1), options: { replaced } });
      expect(actual.selectedExperts).toEqual(want.selectedExperts);
      for (const [rank, weight] of actual.weights.entries()) expect(weight).toBeCloseTo(want.weights[rank], 6);
    }
    const all = new Map(Array.from({ length: 8 }, (_, expert) => [id(0, expert), expertIndex(3)]));
    const one = select([3, 2, 1, 0, 0, 0, 0, 0], { options: { replaced: all } });
    expect(one.selectedExperts).toEqual([3, 3]);
    expect(one.weights[0] + one.weights[1]).toBeCloseTo(1, 6);
  });

  it.each([0.05, 1, 30])(
    'adds noise of %f to the ranking, by seed, layer and position, and not to weights',
    (amount) => {
      const logits = someLogits(8, 4);
      for (let position = 0; position < 32; position++) {
        const options = { noise: { amount, seed: 5 } };
        const order = noisyOrder(logits, { amount, seed: 5, layer: 3, position });
        const want = changedRoute(logits, 2, { order });
        const actual = select(logits, { layer: layerIndex(3), position, options });
        expect(actual.selectedExperts).toEqual(want.selectedExperts);
        for (const [rank, weight] of actual.weights.entries()) expect(weight).toBeCloseTo(want.weights[rank], 6);
      }
    },
  );

  it('prefers resident experts by the bias and skips light ones, in decode only', () => {
    const isResident = (expert: number): boolean => expert === 2 || expert === 3;
    const options = { residentBias: 1.5, skipBelow: 0.3 };
    // Expert 2 passes expert 1, but its weight comes from its own logit.
    const decode = select([3, 2, 1, 0], { isResident, options });
    expect(decode.selectedExperts).toEqual([0, 0]);
    expect(decode.weights).toEqual([1, 0]); // expert 2 would have 1 / (1 + e^2) = 0.12
    expect(select([3, 2, 1, 0], { isResident, options: { residentBias: 1.5 } }).selectedExperts).toEqual([0, 2]);
    expect(select([3, 2, 1, 0], { options }).selectedExperts).toEqual([0, 1]);
  });
});

describe('threefry2x32', () => {
  it("gives the known answers of Random123, the authors' library", () => {
    expect(threefry2x32([0, 0], [0, 0])).toEqual([0x6b200159, 0x99ba4efe]);
    const ones: [number, number] = [0xffffffff, 0xffffffff];
    expect(threefry2x32(ones, ones)).toEqual([0x1cb996fc, 0xbb002be7]);
    expect(threefry2x32([0x13198a2e, 0x03707344], [0x243f6a88, 0x85a308d3])).toEqual([0xc4923a9c, 0x483df7a0]);
  });
});
