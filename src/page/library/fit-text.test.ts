import { expect, it } from 'vitest';
import { fitShort, fitText } from './fit-text.ts';

const device = { kind: 'gpu' as const, gpuBytes: 8e9, ramBytes: 0, gpuRate: 100e9, ramRate: 5e9, storeRate: 1.1e9 };
const expected = {
  leastBytes: 7.9e9,
  residentBytes: 27e9,
  residentShare: 0.25,
  hitRate: 0.31,
  tokensPerSecond: 0.2504,
  boundBy: 'store',
} as const;

it('says whether a model fits, how fast it can be, and what limits the speed', () => {
  expect(fitText(device, { ...expected, fit: 'streams' })).toBe(
    'runs in 8.0 GB of GPU memory (the whole model takes 27.0 GB). ' +
      'About 31% of the experts a token needs are already there: up to 0.25 tokens/s if the disk delivers 1.1 GB/s',
  );
  expect(fitText(device, { ...expected, fit: 'resident', boundBy: 'gpu', tokensPerSecond: 13.7 })).toBe(
    'fits completely in 8.0 GB of GPU memory: up to 14 tokens/s if GPU memory delivers 100.0 GB/s',
  );
  expect(fitText(device, { ...expected, fit: 'too-large' })).toBe(
    'does not run in 8.0 GB of GPU memory: it needs at least 7.9 GB',
  );
});

it('says the same briefly for a list', () => {
  expect(fitShort(device, { ...expected, fit: 'streams' })).toBe('streams, up to 0.25 tokens/s');
  expect(fitShort(device, { ...expected, fit: 'resident', tokensPerSecond: 13.7 })).toBe('fits, up to 14 tokens/s');
  expect(fitShort(device, { ...expected, fit: 'too-large' })).toBe('needs 7.9 GB of GPU memory');
});

it('names main memory, and the arithmetic of the CPU if it computes', () => {
  const cpu = { kind: 'cpu', ramBytes: 8e9, threads: 2, flopsPerThread: 20e9, storeRate: 1.1e9 } as const;
  expect(fitText(cpu, { ...expected, fit: 'resident', boundBy: 'cpu', tokensPerSecond: 1.55 })).toBe(
    'fits completely in 8.0 GB of memory: up to 1.6 tokens/s if 2 CPU threads compute 20 GFLOP/s each',
  );
  expect(fitText({ ...cpu, threads: 1 }, { ...expected, fit: 'resident', boundBy: 'cpu' })).toContain(
    'if one CPU thread computes 20 GFLOP/s',
  );
  expect(fitText(cpu, { ...expected, fit: 'streams' })).toContain('if the disk delivers 1.1 GB/s');
  expect(fitText(cpu, { ...expected, fit: 'too-large' })).toBe(
    'does not run in 8.0 GB of memory: it needs at least 7.9 GB',
  );
  expect(fitShort(cpu, { ...expected, fit: 'too-large' })).toBe('needs 7.9 GB of memory');
});
