import { expect, it } from 'vitest';
import { fitShort, fitText } from './fit-text.ts';

const device = { gpuBytes: 8e9, ramBytes: 0, gpuRate: 100e9, ramRate: 5e9, storeRate: 1.1e9 };
const expected = {
  leastGpuBytes: 7.9e9,
  residentGpuBytes: 27e9,
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
  expect(fitShort({ ...expected, fit: 'streams' })).toBe('streams, up to 0.25 tokens/s');
  expect(fitShort({ ...expected, fit: 'resident', tokensPerSecond: 13.7 })).toBe('fits, up to 14 tokens/s');
  expect(fitShort({ ...expected, fit: 'too-large' })).toBe('needs 7.9 GB of GPU memory');
});
