import { expect, it } from 'vitest';
import type { ExpertsReport } from '../../contract/engine-api.ts';
import {
  bytesReadText,
  expertsTable,
  expertText,
  hitsText,
  layerFigures,
  residenceSentence,
  timeShares,
} from './figures.ts';

const report: ExpertsReport = {
  layerCount: 2,
  expertCount: 3,
  residence: Uint8Array.of(2, 1, 0, 2, 2, 0),
  uses: Uint32Array.of(3, 0, 1, 0, 0, 0),
  newest: Uint8Array.of(1, 0, 1, 0, 0, 0),
  cache: { slots: 3, hits: 3, misses: 1, prefetched: 1, hitRate: 0.75, bytesRead: 5_000_000, stalls: 1 },
  promptTokens: 7,
  promptBytesRead: 3_000_000,
  tokens: 4,
  computeMs: 60,
  expertWaitMs: 30,
  elapsedMs: 100,
  memory: { gpuBytes: 1, ramBytes: 0 },
};
const sentenceFor = (...tiers: number[]) => residenceSentence({ residence: Uint8Array.from(tiers) }, 'gpu');

it('describes each layer: where its experts are, what the latest token selected, which is used most', () => {
  expect(layerFigures(report, 'gpu')).toEqual([
    { resident: 1, ram: 1, latest: [0, 2], busiest: { expert: 0, share: 0.75 } },
    { resident: 2, ram: 0, latest: [] },
  ]);
});

it('says where the experts are', () => {
  expect(residenceSentence(report, 'gpu')).toBe('3 of 6 experts are on the GPU, 1 in RAM, 2 on disk only.');
  expect(sentenceFor(2, 2)).toBe('All 2 experts are on the GPU.');
  expect(sentenceFor(2, 0)).toBe('1 of 2 experts is on the GPU, 1 on disk only.');
});

it('splits the bytes read between the prompt and the generated tokens', () => {
  expect(bytesReadText(report)).toBe('5.0 MB: 3.0 MB for 7 prompt tokens, 500 kB for each of 4 generated tokens');
  expect(bytesReadText({ ...report, tokens: 0 })).toBe('5.0 MB: 3.0 MB for 7 prompt tokens');
  expect(bytesReadText({ ...report, cache: { ...report.cache, bytesRead: 0 } })).toBe(
    'nothing: every expert was already in memory',
  );
  const reading = { ...report, promptTokens: 0, tokens: 0 };
  expect(bytesReadText(reading)).toBe('5.0 MB so far for the text being read');
  expect(bytesReadText({ ...reading, cache: { ...report.cache, bytesRead: 0 } })).toBe('nothing yet');
});

it('splits the time into shares of 1, even if the waits overlap', () => {
  expect(timeShares(report, 'gpu').map(({ share }) => share)).toEqual([0.6, 0.3, 0.1]);
  const overlapping = timeShares({ computeMs: 60, expertWaitMs: 60, elapsedMs: 100 }, 'gpu');
  expect(overlapping.map(({ share }) => share)).toEqual([0.5, 0.5, 0]);
  const nothing = timeShares({ computeMs: 0, expertWaitMs: 0, elapsedMs: 0 }, 'gpu');
  expect(nothing.map(({ share }) => share)).toEqual([0, 0, 0]);
});

it('has a row per expert in the table', () => {
  expect(expertsTable(report, 'gpu')).toEqual({
    columns: ['Layer', 'Expert', 'Where', 'Times used', 'Selected by the latest token'],
    rows: [
      [0, 0, 'on the GPU', 3, 'yes'],
      [0, 1, 'in RAM', 0, 'no'],
      [0, 2, 'on disk only', 1, 'yes'],
      [1, 0, 'on the GPU', 0, 'no'],
      [1, 1, 'on the GPU', 0, 'no'],
      [1, 2, 'on disk only', 0, 'no'],
    ],
  });
});

it('describes one expert, and the hits', () => {
  expect(expertText(report, 'gpu', 0, 1)).toBe('Layer 0, expert 1: in RAM, used 0 times');
  expect(expertText(report, 'gpu', 0, 2)).toBe(
    'Layer 0, expert 2: on disk only, used once, including by the latest token',
  );
  expect(expertText({ ...report, tokens: 0 }, 'gpu', 0, 2)).toContain('including by the latest text');
  expect(hitsText(report, 'gpu')).toBe(
    '75.0% of 4 requested experts were already on the GPU; 1 of 1 misses were already being loaded',
  );
  expect(hitsText({ ...report, cache: { ...report.cache, hits: 0, misses: 0 } }, 'gpu')).toBe('no experts used yet');
});

it('speaks of memory and of the CPU if the CPU computes', () => {
  const residence = Uint8Array.of(1, 1, 0);
  expect(residenceSentence({ residence }, 'cpu')).toBe('2 of 3 experts are in memory, 1 on disk only.');
  expect(residenceSentence({ residence: residence.subarray(0, 2) }, 'cpu')).toBe('All 2 experts are in memory.');
  expect(timeShares(report, 'cpu').map(({ label }) => label)).toEqual([
    'CPU computing',
    'waiting for experts',
    'other',
  ]);
  expect(expertText(report, 'cpu', 0, 1)).toContain('expert 1: in memory, used 0 times');
  expect(layerFigures(report, 'cpu')[0]).toMatchObject({ resident: 1, ram: 0 });
  expect(hitsText(report, 'cpu')).toContain('requested experts were already in memory');
});
