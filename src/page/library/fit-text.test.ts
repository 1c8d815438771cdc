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

it('says whether a model fits, how fast it can be, and by what', () => {
  expect(fitText(device, { ...expected, fit: 'streams' })).toBe(
    'runs in 8.0 GB of GPU memory, of which all its experts would take 27.0 GB; about 31 % of what a token needs is found there: ' +
      'at most 0.25 tokens a second if the disk gives 1.1 GB a second',
  );
  expect(fitText(device, { ...expected, fit: 'resident', boundBy: 'gpu', tokensPerSecond: 13.7 })).toBe(
    'fits 8.0 GB of GPU memory whole: at most 14 tokens a second if GPU memory gives 100.0 GB a second',
  );
  expect(fitText(device, { ...expected, fit: 'too-large' })).toBe(
    'does not run in 8.0 GB of GPU memory: it needs at least 7.9 GB',
  );
});

it('says the same in a few words', () => {
  expect(fitShort({ ...expected, fit: 'streams' })).toBe('streams, at most 0.25 tokens/s');
  expect(fitShort({ ...expected, fit: 'resident', tokensPerSecond: 13.7 })).toBe('fits, at most 14 tokens/s');
  expect(fitShort({ ...expected, fit: 'too-large' })).toBe('needs 7.9 GB of GPU memory');
});
