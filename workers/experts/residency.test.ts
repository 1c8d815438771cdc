import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ExpertIndex, expertIndex } from '../../src/contract/ids.ts';
import { LayerResidency } from './residency.ts';

const none: ReadonlySet<ExpertIndex> = new Set();
const e = expertIndex;

describe('LayerResidency', () => {
  it('fills empty slots before it evicts', () => {
    const layer = new LayerResidency(2);
    expect(layer.place(e(5), none)).toEqual({ slot: 0, evicted: undefined });
    expect(layer.place(e(3), none)).toEqual({ slot: 1, evicted: undefined });
    expect(layer.place(e(7), none)).toEqual({ slot: 0, evicted: 5 });
    expect(layer.slotOf(e(5))).toBeUndefined();
    expect(layer.slotOf(e(7))).toBe(0);
  });

  it('evicts the least recently used', () => {
    const layer = new LayerResidency(3);
    for (const expert of [0, 1, 2]) layer.place(e(expert), none);
    layer.touch(e(0));
    layer.touch(e(1));
    expect(layer.place(e(4), none).evicted).toBe(2);
    expect(layer.place(e(5), none).evicted).toBe(0);
  });

  it('never evicts what is kept', () => {
    const layer = new LayerResidency(2);
    layer.place(e(0), none);
    layer.place(e(1), none);
    expect(layer.place(e(2), new Set([e(0)])).evicted).toBe(1);
    expect(() => layer.place(e(3), new Set([e(0), e(2)]))).toThrow(RangeError);
  });

  it('a released slot is used first', () => {
    const layer = new LayerResidency(2);
    layer.place(e(0), none);
    layer.place(e(1), none);
    layer.release(e(1));
    expect(layer.place(e(2), none)).toEqual({ slot: 1, evicted: undefined });
    expect(layer.residents()).toEqual([0, 2]);
  });

  it('agrees with a list kept in order of use, for any trace', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 8 }), fc.array(fc.integer({ min: 0, max: 7 }), { maxLength: 60 }), (slots, trace) => {
        const layer = new LayerResidency(slots);
        let recent: number[] = []; // most recent last
        for (const expert of trace) {
          const hit = recent.includes(expert);
          expect(layer.slotOf(e(expert)) !== undefined).toBe(hit);
          if (hit) layer.touch(e(expert));
          else layer.place(e(expert), none);
          recent = [...recent.filter((other) => other !== expert), expert].slice(-slots);
          expect([...layer.residents()].sort()).toEqual([...recent].sort());
        }
      }),
    );
  });
});
