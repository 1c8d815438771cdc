import { describe, expect, it } from 'vitest';
import { expertIndex, layerIndex } from '../../src/contract/ids.ts';
import { ExpertLikelihood } from './likelihood.ts';

const [L0, L1] = [layerIndex(0), layerIndex(1)];
const E = expertIndex;
const logits = (...probabilities: number[]) => Float32Array.from(probabilities, Math.log);
const keys = (likelihood: ExpertLikelihood) => likelihood.ranked().map(({ layer, expert }) => `${layer}.${expert}`);

describe('the likelihood of experts', () => {
  it('is the mean probability, and equal for all experts while nothing is known', () => {
    const likelihood = new ExpertLikelihood(2, 4);
    expect(keys(likelihood)).toEqual(['0.0', '0.1', '0.2', '0.3', '1.0', '1.1', '1.2', '1.3']);
    likelihood.note(L1, logits(0.1, 0.6, 0.05, 0.25));
    expect(likelihood.of(L1, E(1))).toBeCloseTo(0.6);
    expect(likelihood.of(L0, E(1))).toBe(0.25);
    likelihood.note(L1, logits(0.3, 0.4, 0.05, 0.25));
    expect(likelihood.of(L1, E(1))).toBeGreaterThan(0.49);
    expect(likelihood.of(L1, E(1))).toBeLessThan(0.5); // later probabilities count more
    // Layer 0 is unknown, so its experts rank as 1/4 each. Layer 1's rank by their probabilities.
    expect(keys(likelihood)[0]).toBe('1.1');
    expect(keys(likelihood).slice(-2)).toEqual(['1.0', '1.2']);
  });

  it('forgets the experts of an earlier text', () => {
    const likelihood = new ExpertLikelihood(1, 2);
    for (let n = 0; n < 500; n++) likelihood.note(L0, logits(0.9, 0.1));
    for (let n = 0; n < 64; n++) likelihood.note(L0, logits(0.1, 0.9));
    expect(likelihood.of(L0, E(0))).toBeCloseTo(0.5, 1);
    for (let n = 0; n < 64; n++) likelihood.note(L0, logits(0.1, 0.9));
    expect(keys(likelihood)[0]).toBe('0.1');
  });

  it('accepts logits of any size', () => {
    const likelihood = new ExpertLikelihood(1, 2);
    likelihood.note(L0, Float32Array.of(1000, 998));
    expect(likelihood.of(L0, E(0))).toBeCloseTo(1 / (1 + Math.exp(-2)));
  });
});
