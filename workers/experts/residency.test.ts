import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ExpertId } from '../../src/contract/ids.ts';
import { SlotResidency } from './residency.ts';

const none: ReadonlySet<ExpertId> = new Set();
const e = (n: number): ExpertId => n as ExpertId;

describe('SlotResidency', () => {
  it('fills empty slots before it evicts', () => {
    const pool = new SlotResidency(2);
    expect(pool.place(e(5), none)).toEqual({ slot: 0, evicted: undefined });
    expect(pool.place(e(3), none)).toEqual({ slot: 1, evicted: undefined });
    expect(pool.place(e(7), none)).toEqual({ slot: 0, evicted: 5 });
    expect(pool.slotOf(e(5))).toBeUndefined();
    expect(pool.slotOf(e(7))).toBe(0);
  });

  it('evicts the least recently used', () => {
    const pool = new SlotResidency(3);
    for (const expert of [0, 1, 2]) pool.place(e(expert), none);
    pool.touch(e(0));
    pool.touch(e(1));
    expect(pool.place(e(4), none).evicted).toBe(2);
    expect(pool.place(e(5), none).evicted).toBe(0);
  });

  it('never evicts what is kept', () => {
    const pool = new SlotResidency(2);
    pool.place(e(0), none);
    pool.place(e(1), none);
    expect(pool.place(e(2), new Set([e(0)])).evicted).toBe(1);
    expect(pool.hasRoom(new Set([e(0), e(2)]))).toBe(false);
    expect(pool.hasRoom(new Set([e(0)]))).toBe(true);
    expect(() => pool.place(e(3), new Set([e(0), e(2)]))).toThrow(RangeError);
  });

  it('a released slot is used first', () => {
    const pool = new SlotResidency(2);
    pool.place(e(0), none);
    pool.place(e(1), none);
    pool.release(e(1));
    expect(pool.place(e(2), none)).toEqual({ slot: 1, evicted: undefined });
    expect(pool.residents()).toEqual([0, 2]);
  });

  it('agrees with a list kept in order of use, for any trace', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 8 }), fc.array(fc.integer({ min: 0, max: 7 }), { maxLength: 60 }), (slots, trace) => {
        const pool = new SlotResidency(slots);
        let recent: number[] = []; // most recent last
        for (const expert of trace) {
          const hit = recent.includes(expert);
          expect(pool.slotOf(e(expert)) !== undefined).toBe(hit);
          if (hit) pool.touch(e(expert));
          else pool.place(e(expert), none);
          recent = [...recent.filter((other) => other !== expert), expert].slice(-slots);
          expect([...pool.residents()].sort()).toEqual([...recent].sort());
        }
      }),
    );
  });
});
