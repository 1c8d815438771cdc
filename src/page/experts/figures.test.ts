import { expect, it } from 'vitest';
import type { ExpertsReport } from '../../contract/engine-api.ts';
import { cellTitle, hitSentence, layerFigures, streamedSentence, timeShares, whereSentence } from './figures.ts';

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
  gpuWaitMs: 60,
  expertWaitMs: 30,
  elapsedMs: 100,
  memory: { gpuBytes: 1, ramBytes: 0 },
};
const resident = (...places: number[]) => whereSentence({ residence: Uint8Array.from(places) });

it('tells each layer: what is where, what the newest token chose, what is used most', () => {
  expect(layerFigures(report)).toEqual([
    { gpu: 1, ram: 1, newest: [0, 2], busiest: { expert: 0, share: 0.75 } },
    { gpu: 2, ram: 0, newest: [] },
  ]);
});

it('says where the experts are', () => {
  expect(whereSentence(report)).toBe('Of 6 experts 3 are on the GPU, 1 in main memory, 2 in the store only.');
  expect(resident(2, 2)).toBe('All 2 experts are on the GPU.');
  expect(resident(2, 0)).toBe('Of 2 experts 1 is on the GPU, 1 in the store only.');
});

it('splits the bytes between the prompt and the tokens written', () => {
  expect(streamedSentence(report)).toBe('5.0 MB: 3.0 MB for 7 tokens read, 500 kB for each of 4 tokens written');
  expect(streamedSentence({ ...report, tokens: 0 })).toBe('5.0 MB: 3.0 MB for 7 tokens read');
  expect(streamedSentence({ ...report, cache: { ...report.cache, bytesRead: 0 } })).toBe(
    'nothing: every expert that was asked for was there',
  );
  const reading = { ...report, promptTokens: 0, tokens: 0 };
  expect(streamedSentence(reading)).toBe('5.0 MB so far, for the text that is being read');
  expect(streamedSentence({ ...reading, cache: { ...report.cache, bytesRead: 0 } })).toBe('nothing yet');
});

it('splits the time into parts of 1, where waits overlap too', () => {
  expect(timeShares(report).map(({ share }) => share)).toEqual([0.6, 0.3, 0.1]);
  const overlapping = timeShares({ gpuWaitMs: 60, expertWaitMs: 60, elapsedMs: 100 });
  expect(overlapping.map(({ share }) => share)).toEqual([0.5, 0.5, 0]);
  expect(timeShares({ gpuWaitMs: 0, expertWaitMs: 0, elapsedMs: 0 }).map(({ share }) => share)).toEqual([0, 0, 0]);
});

it('names a cell, and the hits', () => {
  expect(cellTitle(report, 0, 1)).toBe('Layer 0, expert 1: in main memory, used 0 times');
  expect(cellTitle(report, 0, 2)).toBe('Layer 0, expert 2: in the store only, used once, by the newest token too');
  expect(cellTitle({ ...report, tokens: 0 }, 0, 2)).toContain('by the text read last too');
  expect(hitSentence(report)).toBe(
    '75.0 % of 4 were on the GPU when they were asked for; of 1 that were not, 1 was being read already',
  );
  expect(hitSentence({ ...report, cache: { ...report.cache, hits: 0, misses: 0 } })).toBe('nothing was asked for yet');
});
