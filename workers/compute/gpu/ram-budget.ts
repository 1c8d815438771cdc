/** How much main memory keeps experts beside a GPU with memory of its own. What was learned is remembered per adapter. */
import type { Bytes } from '../../../src/contract/ids.ts';
import { pageFacts } from '../../../src/contract/page-facts.ts';
import { automaticRamBudget, type BudgetAdapter } from '../../experts/automatic-budget.ts';
import { afterRestart, ramLimit, readRamHistory, whileUsed } from '../../experts/ram-history.ts';
import { deviceMemory } from '../loading.ts';
import type { Gpu } from './open-gpu.ts';

/** Name of the history among the facts about an adapter. */
const FACT = 'main memory';

/**
 * The budget of a model that is about to be loaded.
 * @param requested the user's budget, if there is one
 */
export async function ramBudget(
  { memory, measureMemory }: Pick<Gpu, 'memory' | 'measureMemory'>,
  adapter: BudgetAdapter,
  requested: Bytes | undefined,
): Promise<Bytes> {
  if (requested !== undefined) return requested;
  const wanted = automaticRamBudget(adapter, deviceMemory());
  if (!measureMemory || wanted === 0) return wanted; // nothing is remembered
  const now = Date.now();
  const startedAt = performance.timeOrigin;
  const stored = readRamHistory(await memory.get(FACT));
  const history = afterRestart(stored, { now, startedAt, closedAt: pageFacts().closedAt });
  const budget = Math.min(wanted, ramLimit(history, now));
  const { used } = stored;
  const isNoted = used !== undefined && used.at >= startedAt && used.bytes === budget;
  if (!isNoted) await memory.set(FACT, whileUsed(history, budget, now));
  return budget;
}
