import { afterEach, expect, it, vi } from 'vitest';
import { receivePageFacts } from '../../../src/contract/page-facts.ts';
import { AdapterMemory } from '../../store/adapter-memory.ts';
import { ramBudget } from './ram-budget.ts';

const GIB = 2 ** 30;
const card = { software: false, vendor: 'nvidia', readRate: 500e9 };

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

/** Starts a worker at `startedAt`, in which a model is loaded at `now`. */
const startWorker = (startedAt: number, now: number): void => {
  vi.stubGlobal('performance', { timeOrigin: startedAt });
  vi.spyOn(Date, 'now').mockReturnValue(now);
};

/** Sends what the page says to a worker that starts. */
function pageSays(closedAt: number | undefined): void {
  const page = new EventTarget();
  receivePageFacts(page);
  const data = { mixtabPageFacts: { maxTouchPoints: 0, ...(closedAt !== undefined && { closedAt }) } };
  page.dispatchEvent(new MessageEvent('message', { data }));
}

it('is half after a tab that ended with it, whole after one that was closed, and the user has the last word', async () => {
  vi.stubGlobal('navigator', { deviceMemory: 16 });
  const gpu = { memory: new AdapterMemory('card'), measureMemory: true };
  startWorker(1000, 2000);
  pageSays(undefined);
  expect(await ramBudget(gpu, card, undefined)).toBe(8 * GIB);
  vi.spyOn(Date, 'now').mockReturnValue(3000);
  expect(await ramBudget(gpu, card, undefined)).toBe(8 * GIB); // another model, in the same tab

  startWorker(5000, 6000); // nobody has closed the first tab
  expect(await ramBudget(gpu, card, undefined)).toBe(4 * GIB);
  expect(await ramBudget(gpu, card, 7 * GIB)).toBe(7 * GIB);

  startWorker(8000, 9000);
  pageSays(7000);
  expect(await ramBudget(gpu, card, undefined)).toBe(4 * GIB); // still the same day
  startWorker(2 * 24 * 60 * 60 * 1000, 2 * 24 * 60 * 60 * 1000 + 1000);
  pageSays(10_000);
  expect(await ramBudget(gpu, card, undefined)).toBe(8 * GIB);
});

it('is nothing if the GPU shares main memory, and nothing is remembered if memory is not measured', async () => {
  vi.stubGlobal('navigator', { deviceMemory: 16 });
  const memory = new AdapterMemory('card');
  const set = vi.spyOn(memory, 'set');
  expect(await ramBudget({ memory, measureMemory: true }, { ...card, readRate: 50e9 }, undefined)).toBe(0);
  expect(await ramBudget({ memory, measureMemory: false }, card, undefined)).toBe(8 * GIB);
  expect(set).not.toHaveBeenCalled();
});
