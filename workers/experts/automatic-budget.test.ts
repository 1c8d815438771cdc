import { describe, expect, it } from 'vitest';
import { automaticRamBudget, gpuBudgetOf, memoryKind, probePlan, ratesAreOpen } from './automatic-budget.ts';

const GIB = 2 ** 30;
const card = { software: false, vendor: 'nvidia', readRate: 400e9 };
const apu = { software: false, vendor: 'amd', readRate: 60e9 };
const arc = { software: false, vendor: 'intel', readRate: 380e9 };
const iris = { software: false, vendor: 'intel', readRate: 55e9 };
const mac = { software: false, vendor: 'apple', readRate: 390e9 };
const phone = { software: false, vendor: 'qualcomm', mobile: true };
const software = { software: true, vendor: 'google' };

describe('automatic budgets', () => {
  it('tell GPUs with memory of their own by its rate, not by their vendor', () => {
    expect([card, arc].map(memoryKind)).toEqual(['own', 'own']);
    expect([apu, iris].map(memoryKind)).toEqual(['shared', 'shared']);
    expect([mac, phone, software].map(memoryKind)).toEqual(['shared', 'phone', 'software']);
  });

  it('tell a slow graphics card by the bus between it and main memory', () => {
    const slow = { ...apu, copyRate: 50e9, hostCopyRate: 11e9 }; // PCIe 3
    const slower = { software: false, vendor: 'nvidia', readRate: 44e9, copyRate: 20e9, hostCopyRate: 3e9 };
    const unified = { ...apu, copyRate: 30e9, hostCopyRate: 27e9 };
    const uncached = { ...iris, copyRate: 25e9, hostCopyRate: 12e9 };
    expect([slow, slower, unified, uncached].map(memoryKind)).toEqual(['own', 'own', 'shared', 'shared']);
    expect(automaticRamBudget(slow, 16)).toBe(8 * GIB);
  });

  it('measure rates again while they are low, on adapters that they decide about', () => {
    expect([{ ...card, readRate: undefined }, apu, iris].map(ratesAreOpen)).toEqual([true, true, true]);
    expect([card, arc, mac, phone, software].map(ratesAreOpen)).toEqual([false, false, false, false, false]);
  });

  it('probe a graphics card for all that the model can use, and others for a share of main memory', () => {
    expect(probePlan(card, 8, 30e9).limit).toBe(30e9);
    expect(probePlan(apu, 16, 30e9).limit).toBe(8 * GIB);
    expect(probePlan(apu, 16, 3e9).limit).toBe(3e9);
    expect(probePlan(software, 8, 30e9).limit).toBe(2 * GIB);
    expect(probePlan(software, undefined, 30e9).limit).toBe(1 * GIB);
  });

  it('take a quarter on phones, in small steps', () => {
    expect(probePlan(phone, 8, 30e9)).toMatchObject({ limit: 2 * GIB, pieceBytes: 64 * 2 ** 20 });
    expect(probePlan(phone, 8, 30e9, 2 * GIB).limit).toBe(2 * GIB);
  });

  it('let machines with shared memory grow into it, up to three quarters of what is known', () => {
    const budget = (good: number) => {
      const plan = probePlan(apu, 16, 30e9, good);
      return gpuBudgetOf(plan.limit, 30e9, plan);
    };
    const budgets = [budget(0)];
    while (budgets.length < 5) budgets.push(budget(budgets.at(-1)!));
    expect(budgets).toEqual([6.8, 8.67, 10.2, 10.2, 10.2].map((gib) => expect.closeTo(gib * GIB, -7.9)));
  });

  it('let a Mac of unknown size hold more than it uses', () => {
    const plan = probePlan(mac, 8, 30e9);
    expect(plan.limit).toBe(40e9);
    expect(gpuBudgetOf(40e9, 30e9, plan)).toBe(30e9);
    expect(gpuBudgetOf(36e9, 30e9, plan)).toBe(27e9);
    // A small one is known, and Safari does not say.
    expect(probePlan(mac, 4, 30e9).limit).toBe(2 * GIB);
    expect(probePlan(mac, undefined, 30e9).limit).toBe(2 * GIB);
  });

  it('leave some of the probed memory free if the model could use more', () => {
    const plan = probePlan(card, 8, 30e9);
    expect(gpuBudgetOf(30e9, 30e9, plan)).toBe(30e9);
    expect(gpuBudgetOf(8e9, 30e9, plan)).toBe(6.8e9);
  });

  it('keep experts in main memory only if the GPU has its own memory', () => {
    const byReport = [2, 4, undefined, 8, 16, 32].map((gib) => automaticRamBudget(card, gib) / GIB);
    expect(byReport).toEqual([0.5, 1, 1, 4, 8, 16]);
    for (const adapter of [apu, mac, phone, software]) expect(automaticRamBudget(adapter, 16)).toBe(0);
  });
});
