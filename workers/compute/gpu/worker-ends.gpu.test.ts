import { expect, it, vi } from 'vitest';
import { pageFacts, receivePageFacts } from '../../../src/contract/page-facts.ts';
import { AdapterMemory } from '../../store/adapter-memory.ts';
import { noteRamUse, ramBudget } from './ram-budget.ts';
import { readWorkerEnds } from './worker-ends.ts';

it('shows by a lock of the browser that a worker lives, whose note other tabs read in the database', async () => {
  const name = `noted ${Math.random()}`;
  const memories = [0, 1].map(() => new AdapterMemory(name, 'mixtab-test-adapters'));
  const [first, second] = memories.map((memory) => ({ memory, measureMemory: true }));
  const { workerId } = pageFacts();
  const { destroy } = await noteRamUse(first, 8e9);
  const page = new EventTarget();
  receivePageFacts(page);
  const data = { mixtabPageFacts: { maxTouchPoints: 0, workerId: 'second', closings: {} } };
  page.dispatchEvent(new MessageEvent('message', { data }));
  const { isAlive } = await readWorkerEnds();
  expect([workerId, 'second', 'third'].map(isAlive)).toEqual([true, true, false]);
  const card = { software: false, vendor: 'nvidia', readRate: 500e9 };
  expect(await ramBudget(second, card, undefined)).toBe(
    await ramBudget({ ...second, measureMemory: false }, card, undefined),
  );
  expect(await memories[1].get('main memory')).toEqual({
    uses: [{ worker: workerId, at: expect.any(Number), bytes: 8e9 }],
  });
  destroy();
  await vi.waitFor(async () => expect(await memories[1].get('main memory')).toEqual({ uses: [] }));
});
