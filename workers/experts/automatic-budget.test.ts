import { describe, expect, it } from 'vitest';
import { automaticRamBudget, gpuBudgetOf, gpuMemoryToProbe, sharesMainMemory } from './automatic-budget.ts';

const discrete = { software: false, vendor: 'nvidia' };
const unified = { software: false, vendor: 'apple' };
const software = { software: true, vendor: 'google' };
const GIB = 2 ** 30;

describe('automatic budgets', () => {
  it('detect GPUs that use main memory', () => {
    expect([discrete, unified, software].map(sharesMainMemory)).toEqual([false, true, true]);
  });

  it('probe a discrete GPU for all that the model can use, and others for a share of main memory', () => {
    expect(gpuMemoryToProbe(discrete, 8, 30e9)).toBe(30e9);
    expect(gpuMemoryToProbe(unified, 16, 30e9)).toBe(8 * GIB);
    expect(gpuMemoryToProbe(unified, 16, 3e9)).toBe(3e9);
    expect(gpuMemoryToProbe(software, 8, 30e9)).toBe(2 * GIB);
    expect(gpuMemoryToProbe(software, undefined, 30e9)).toBe(1 * GIB);
  });

  it('leave some of the probed memory free if the model could use more', () => {
    expect(gpuBudgetOf(10e9, 10e9)).toBe(10e9);
    expect(gpuBudgetOf(8e9, 30e9)).toBe(6.8e9);
  });

  it('keep experts in main memory only if the GPU has its own memory', () => {
    expect(automaticRamBudget(discrete, 16)).toBe(4 * GIB);
    expect(automaticRamBudget(unified, 16)).toBe(0);
    expect(automaticRamBudget(software, 16)).toBe(0);
  });
});
