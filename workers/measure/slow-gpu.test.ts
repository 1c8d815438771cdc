/** Measuring a GPU of 0.02 TFLOP/s, which computes nothing: how long the screen would stand still. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { MeasureRow } from '../../src/contract/measure-api.ts';
import { FakeDevice, stubWebGpuConstants } from '../compute/gpu/fake-device-testing.ts';
import { Pacing } from '../compute/gpu/pacing.ts';
import { type SlowGpu, slowDown } from '../compute/gpu/slow-gpu-testing.ts';
import { defaultOptions } from './measure.ts';
import { Measurement } from './measurement.ts';
import { arithmeticRate } from './steps/ceilings.ts';
import { measurePromptAttention } from './steps/layer.ts';
import { measurePromptMatrices, measureTokenMatrices } from './steps/matrices.ts';

/** Multiply-adds per millisecond: 0.02 TFLOP/s. */
const RATE = 1e7;
const POSITIONS = 32128;

beforeEach(() => {
  stubWebGpuConstants();
  vi.stubGlobal('navigator', { userAgent: 'test' });
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

const longest = (times: readonly number[]): number => Math.max(...times);

/** A measurement with Mixtral's shapes on a slow GPU. Steps end when `enough` figures are there. */
function slowMeasurement(enough = Number.POSITIVE_INFINITY) {
  const device = new FakeDevice(1e12);
  device.readsBack = true;
  device.features.add('subgroups');
  Object.assign(device.limits, { maxBufferSize: 4e9, maxStorageBufferBindingSize: 4e9 });
  Object.assign(device, { adapterInfo: { subgroupMaxSize: 32 } });
  const slow = slowDown(device, RATE, POSITIONS);
  vi.spyOn(performance, 'now').mockImplementation(slow.now);
  const rows: MeasureRow[] = [];
  const gpu = { ...device.gpu, pacing: new Pacing({ now: slow.now }) };
  const measurement = new Measurement({ gpu, options: defaultOptions(false), isOver: () => rows.length >= enough });
  measurement.onRow = (row) => rows.push(row);
  // The GPU takes for attention as long as it does at the last position.
  Object.assign(measurement, { shapes: { ...measurement.shapes, promptAttention: [[128, POSITIONS - 128]] } });
  return { measurement, slow, rows };
}

function expectScreenToMove({ dispatches, submissions }: SlowGpu): void {
  expect(dispatches.length).toBeGreaterThan(10);
  expect(longest(dispatches)).toBeLessThan(110);
  expect(longest(submissions)).toBeLessThan(275);
}

it('measures the arithmetic in pieces', async () => {
  const { measurement, slow } = slowMeasurement();
  const teraflops = await measurement.withBuffers((buffers) => arithmeticRate(measurement, buffers));
  expect(teraflops).toBeCloseTo((RATE * 2000) / 1e12, 3);
  expectScreenToMove(slow);
});

it.each([
  // gate+up, down and q with each of the four variants
  ['matrices of 512 tokens', measurePromptMatrices, 12, 1000],
  ['matrices of a token', measureTokenMatrices, 30, 10],
  ['attention of a prompt', measurePromptAttention, 1, 1000],
] as const)('measures %s in pieces, whatever was measured before', async (_, measure, count, leastMs) => {
  for (const flops of [undefined, RATE * 2000, RATE * 2000 * 20]) {
    const { measurement, slow, rows } = slowMeasurement(count);
    measurement.flops = flops;
    await measure(measurement);
    expect(rows.length).toBe(count);
    // As a whole, some call takes too long.
    const milliseconds = rows.map(({ value, unit }) => (unit === 'us' ? value / 1000 : value));
    expect(longest(milliseconds)).toBeGreaterThan(leastMs);
    expectScreenToMove(slow);
    // Nothing that GPUs never use, and which takes them many times as long.
    const variants = rows.map(({ variant = '' }) => variant);
    expect(variants.filter((variant) => /=(rows|steps)$/.test(variant))).toEqual([]);
  }
});
