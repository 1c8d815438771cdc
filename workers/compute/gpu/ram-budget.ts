/**
 * How much main memory keeps experts beside a GPU with memory of its own. What was learned is remembered per adapter.
 */
import type { Bytes } from '../../../src/contract/ids.ts';
import { automaticRamBudget, type BudgetAdapter } from '../../experts/automatic-budget.ts';
import {
  afterEnds,
  afterUse,
  type RamHistory,
  type RamUse,
  ramLimit,
  readRamHistory,
  whileUsed,
} from '../../experts/ram-history.ts';
import { deviceMemory } from '../loading.ts';
import { changeAlone } from './change-alone.ts';
import type { Gpu } from './open-gpu.ts';
import { holdLife, readWorkerEnds } from './worker-ends.ts';

/** Name of the history among the facts about an adapter. */
const FACT = 'main memory';

type Remembering = Pick<Gpu, 'memory' | 'measureMemory'>;

/**
 * The budget of a model that is about to be loaded.
 * @param requested the user's budget, if there is one
 */
export async function ramBudget(
  gpu: Remembering,
  adapter: BudgetAdapter,
  requested: Bytes | undefined,
): Promise<Bytes> {
  if (requested !== undefined) return requested;
  const wanted = automaticRamBudget(adapter, deviceMemory());
  if (wanted === 0) return wanted;
  const now = Date.now();
  const history = await changeHistory(gpu, async (before) => afterEnds(before, await readWorkerEnds(), now));
  return Math.min(wanted, ramLimit(history, now));
}

/**
 * Notes that a model keeps experts in main memory, before it does.
 * @param bytes the automatic budget
 * @returns `destroy` takes the note away: the model is unloaded
 */
export async function noteRamUse(gpu: Remembering, bytes: Bytes): Promise<{ destroy(): void }> {
  if (!gpu.measureMemory) return { destroy: () => {} };
  const use: RamUse = { worker: await holdLife(), at: Date.now(), bytes };
  await changeHistory(gpu, (history) => whileUsed(history, use));
  return { destroy: () => void changeHistory(gpu, (history) => afterUse(history, use)) };
}

/** Nothing is remembered if the memory is not measured, or the browser has no locks that show which workers live. */
async function changeHistory(
  { memory, measureMemory }: Remembering,
  change: (history: RamHistory) => RamHistory | Promise<RamHistory>,
): Promise<RamHistory> {
  if (!measureMemory) return {};
  return (await changeAlone(memory, FACT, readRamHistory, change)) ?? {};
}
