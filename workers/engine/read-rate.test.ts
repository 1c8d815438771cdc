import { expect, it, vi } from 'vitest';
import type { ModelManifest } from '../format/manifest.ts';
import type { RecordReader } from '../store/record-reader.ts';
import { measureReadRate } from './read-rate.ts';

const RECORD = 10e6;
const manifest = {
  id: 'model',
  records: ['L0.E0', 'L0.E1', 'L0.E2'].map((key) => ({ key, bytes: RECORD })),
} as unknown as ModelManifest;

it.each([0.001, 1, 16, 100])('finds no rate that is too high, with a clock of %d ms', async (step) => {
  let time = 0;
  const read = vi.fn(async () => {
    time += 4; // 2.5 GB/s
    return { byteLength: RECORD };
  });
  const now = (): number => {
    time += 1e-5;
    return Math.floor(time / step) * step;
  };
  const rate = await measureReadRate({ read } as unknown as RecordReader, manifest, 30e6, now);
  expect(rate).toBeGreaterThan(0.7 * 2.5e9);
  expect(rate).toBeLessThan(1.3 * 2.5e9);
});
