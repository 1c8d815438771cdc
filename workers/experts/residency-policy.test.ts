import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ExpertId } from '../../src/contract/ids.ts';
import { ResidencyPolicy } from './residency-policy.ts';

const none: ReadonlySet<ExpertId> = new Set();
const e = (n: number): ExpertId => n as ExpertId;

describe('ResidencyPolicy', () => {
  it('fills empty slots before it evicts', () => {
    const pool = new ResidencyPolicy(2);
    expect(pool.assign(e(5), none)).toEqual({ slot: 0, evicted: undefined });
    expect(pool.assign(e(3), none)).toEqual({ slot: 1, evicted: undefined });
    expect(pool.assign(e(7), none)).toEqual({ slot: 0, evicted: 5 });
    expect(pool.slotOf(e(5))).toBeUndefined();
    expect(pool.slotOf(e(7))).toBe(0);
  });

  it('evicts the least used', () => {
    const pool = new ResidencyPolicy(3);
    for (const expert of [0, 1, 2]) pool.assign(e(expert), none);
    for (const expert of [0, 0, 0, 1, 2, 2]) pool.touch(e(expert));
    pool.touch(e(4));
    expect(pool.assign(e(4), none).evicted).toBe(1);
  });

  it('ages uses: evicts an expert that was used often long ago before one that was used twice recently', () => {
    const pool = new ResidencyPolicy(2, 4);
    pool.assign(e(0), none);
    pool.assign(e(1), none);
    for (const expert of [0, 0, 0, 0, 0, 0]) pool.touch(e(expert));
    for (let n = 0; n < 12; n++) pool.touch(e(7));
    pool.touch(e(1));
    pool.touch(e(1));
    expect(pool.assign(e(7), none).evicted).toBe(0);
  });

  it('remembers the uses of evicted experts', () => {
    const pool = new ResidencyPolicy(2);
    for (const expert of [0, 1, 0, 1, 2]) pool.touch(e(expert));
    pool.assign(e(0), none);
    pool.assign(e(2), none);
    expect(pool.assign(e(1), none).evicted).toBe(2);
    expect(pool.assign(e(2), none).evicted).toBe(0);
  });

  it('never evicts an expert of `keep`', () => {
    const pool = new ResidencyPolicy(2);
    pool.assign(e(0), none);
    pool.assign(e(1), none);
    expect(pool.assign(e(2), new Set([e(0)])).evicted).toBe(1);
    expect(pool.hasRoom(new Set([e(0), e(2)]))).toBe(false);
    expect(pool.hasRoom(new Set([e(0)]))).toBe(true);
    expect(() => pool.assign(e(3), new Set([e(0), e(2)]))).toThrow(RangeError);
  });

  it('uses a released slot first', () => {
    const pool = new ResidencyPolicy(2);
    pool.assign(e(0), none);
    pool.assign(e(1), none);
    pool.release(e(1));
    expect(pool.assign(e(2), none)).toEqual({ slot: 1, evicted: undefined });
    expect(pool.residents()).toEqual([0, 2]);
  });

  const traces = fc.array(fc.integer({ min: 0, max: 7 }), { maxLength: 60 });

  /** Runs a trace and compares each step with a reference that evicts the expert of the least `value`. */
  function replay(
    slots: number,
    trace: readonly number[],
    halfLife: number,
    value: (expert: number, past: readonly number[]) => number,
  ): void {
    const pool = new ResidencyPolicy(slots, halfLife);
    let resident: number[] = [];
    for (const [n, expert] of trace.entries()) {
      const past = trace.slice(0, n + 1);
      pool.touch(e(expert));
      expect(pool.slotOf(e(expert)) !== undefined).toBe(resident.includes(expert));
      if (resident.includes(expert)) continue;
      if (resident.length === slots) {
        const least = Math.min(...resident.map((other) => value(other, past)));
        const { evicted } = pool.assign(e(expert), none);
        expect(value(Number(evicted), past)).toBeCloseTo(least, 9);
        resident = resident.filter((other) => other !== Number(evicted));
      } else {
        pool.assign(e(expert), none);
      }
      resident.push(expert);
    }
  }

  it('evicts by the sum of uses, each weighted by its age, for any trace', () => {
    const aged = (expert: number, past: readonly number[]): number =>
      past.reduce((sum, used, at) => sum + (used === expert ? 0.5 ** ((past.length - 1 - at) / 10) : 0), 0);
    fc.assert(fc.property(fc.integer({ min: 2, max: 8 }), traces, (slots, trace) => replay(slots, trace, 10, aged)));
  });

  it('equals least recently used if the half-life is short, for any trace', () => {
    const recent = (expert: number, past: readonly number[]): number => past.lastIndexOf(expert);
    fc.assert(fc.property(fc.integer({ min: 2, max: 8 }), traces, (slots, trace) => replay(slots, trace, 0.5, recent)));
  });
});
