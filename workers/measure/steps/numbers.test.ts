import { describe, expect, it } from 'vitest';
import { probeInput, readProbe } from './numbers.ts';

/** What a GPU writes that computes exactly, and rounds with `round` to the last bit of f16 near 1. */
function outputOf(round: (thousandths: number) => number, flush = false): Uint32Array {
  const input = probeInput();
  const floats = new Float32Array(input.buffer);
  const output = new Uint32Array(input.length);
  const results = new Float32Array(output.buffer);
  for (let n = 0; n < 3; n++) output[n] = 0x3c00 + round((floats[n] - 1) * 1024);
  if (!flush) {
    results[4] = floats[4];
    results[5] = floats[6] * floats[6];
    results[6] = 2 ** -24;
  }
  results.set(floats.subarray(8).map(Math.exp), 8);
  return output;
}

describe('readProbe', () => {
  it('names the rounding', () => {
    const roundEven = (x: number): number => (x % 1 === 0.5 ? 2 * Math.round(x / 2) : Math.round(x));
    expect(readProbe(outputOf(roundEven)).rounding).toBe('to nearest, ties to even');
    expect(readProbe(outputOf(Math.round)).rounding).toBe('up, at least the middle');
    expect(readProbe(outputOf(Math.floor)).rounding).toBe('toward zero');
    expect(readProbe(outputOf((x) => Math.round(x) + 1)).rounding).toBe('in another way (2 3 2)');
  });

  it('tells whether subnormal numbers are kept', () => {
    const all = { subnormals: 'kept when read, kept when computed', halfSubnormals: 'kept' };
    expect(readProbe(outputOf(Math.round))).toMatchObject(all);
    const none = { subnormals: 'become 0 when read, become 0 when computed', halfSubnormals: 'become 0' };
    expect(readProbe(outputOf(Math.round, true))).toMatchObject(none);
  });

  it('compares exp with float64, and does not let NaN or a remainder far below 0 pass', () => {
    const exact = outputOf(Math.round);
    expect(readProbe(exact).expError).toBeGreaterThan(0); // rounded to f32
    expect(readProbe(exact).expError).toBeLessThan(0.5);
    const input = new Float32Array(probeInput().buffer);
    const changed = (n: number, value: number): number => {
      const output = outputOf(Math.round);
      new Float32Array(output.buffer)[n] = value;
      return readProbe(output).expError;
    };
    const at = input.length - 10;
    const allowed = 3 + 2 * Math.abs(input[at]);
    expect(changed(at, Math.exp(input[at]) * (1 + 2 * allowed * 2 ** -23))).toBeCloseTo(2, 1);
    expect(changed(at, Number.NaN)).toBe(Number.POSITIVE_INFINITY);
    expect(changed(input.length - 1, 1e-30)).toBe(Number.POSITIVE_INFINITY);
    expect(changed(input.length - 1, Number.NaN)).toBe(Number.POSITIVE_INFINITY);
  });
});
