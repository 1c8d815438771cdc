import { describe, expect, it } from 'vitest';
import { PredictionValue } from './prediction-value.ts';

/** Of the first choices 95 of 100 are right, of the second 75. */
function observed({ readMs, layerMs }: { readMs: number; layerMs: number }): PredictionValue {
  const value = new PredictionValue();
  for (let n = 0; n < 400; n++) {
    value.noteRead(readMs);
    value.noteLayer(layerMs);
    value.noteOutcome(0, n % 20 !== 0);
    value.noteOutcome(1, n % 4 !== 0);
  }
  return value;
}

const paying = (value: PredictionValue): boolean[] => [value.pays(0), value.pays(1)];

describe('a prediction', () => {
  it('pays until something is known', () => {
    const value = new PredictionValue();
    value.noteOutcome(0, false);
    value.noteRead(100);
    expect(paying(value)).toEqual([true, true]);
  });

  it('always pays where reading is the shorter part', () => {
    expect(paying(observed({ readMs: 10, layerMs: 100 }))).toEqual([true, true]);
  });

  it('pays only where it is nearly certain, the longer reading takes', () => {
    expect(paying(observed({ readMs: 300, layerMs: 100 }))).toEqual([true, true]); // 2/3 right are enough
    expect(paying(observed({ readMs: 600, layerMs: 100 }))).toEqual([true, false]); // 5/6
    expect(paying(observed({ readMs: 40, layerMs: 1 }))).toEqual([false, false]); // 39/40
  });

  it('pays again when the store has become faster', () => {
    const value = observed({ readMs: 600, layerMs: 100 });
    for (let n = 0; n < 200; n++) value.noteRead(20);
    expect(paying(value)).toEqual([true, true]);
  });
});
