import { expect, it } from 'vitest';
import { type MemoryLimits, mostMemory } from './most-memory.ts';

const GB = 1e9;
const STORED = 26 * GB;

it.each<[MemoryLimits, number]>([
  [{}, 26],
  [{ compute: 'gpu', gpuBudgetBytes: 6 * GB }, 26], // main memory may keep the other experts
  [{ compute: 'gpu', gpuBudgetBytes: 6 * GB, ramBudgetBytes: 2 * GB }, 8],
  [{ compute: 'gpu', gpuBudgetBytes: 6 * GB, ramBudgetBytes: 0, cpuBudgetBytes: 9 * GB }, 6],
  [{ compute: 'gpu', gpuBudgetBytes: 20 * GB, ramBudgetBytes: 20 * GB }, 26],
  [{ compute: 'cpu', ramBudgetBytes: 3 * GB }, 3],
  [{ compute: 'cpu', cpuBudgetBytes: 4 * GB }, 4],
  [{ compute: 'cpu', ramBudgetBytes: 3 * GB, cpuBudgetBytes: 4 * GB }, 3], // as the engine reads them
  [{ compute: 'cpu', gpuBudgetBytes: 1 * GB }, 26],
  // The engine chooses, and only the CPU's limit is its own.
  [{ gpuBudgetBytes: 6 * GB, ramBudgetBytes: 2 * GB }, 26],
  [{ gpuBudgetBytes: 6 * GB, ramBudgetBytes: 2 * GB, cpuBudgetBytes: 4 * GB }, 8],
  [{ compute: 'auto', gpuBudgetBytes: 1 * GB, ramBudgetBytes: 1 * GB, cpuBudgetBytes: 4 * GB }, 4],
])('a model of 26 GB with %j takes at most %d GB', (limits, expected) => {
  expect(mostMemory(STORED, limits)).toBe(expected * GB);
});
