/** Divides a memory budget into pools of expert slots. Pure. See docs/streaming.md, "Memory". */
import { MixtabError } from '../../src/contract/errors.ts';
import { type Bytes, type LayerIndex, layerIndex } from '../../src/contract/ids.ts';

export interface SlotBudget {
  /** Which memory is divided, for the error. */
  memory: 'gpu' | 'ram';
  /** Memory for the whole model. */
  budgetBytes: Bytes;
  /** Whether nobody has set the budget, so that nobody can raise it; for the error. Default: false. */
  automatic?: boolean;
  /** Bytes needed besides slots: dense weights, KV cache, scratch buffers, and activations of the longest prompt. */
  fixedBytes: Bytes;
  /** Bytes of one slot, by layer. */
  slotBytes: readonly Bytes[];
  expertCount: number;
  expertsPerToken: number;
}

/** A pool of slots and the layers whose experts it holds. */
export interface PoolPlan {
  layers: LayerIndex[];
  slots: number;
}

const megabytes = (bytes: Bytes): string => `${Math.ceil(bytes / 1e6)} MB`;

/**
 * If the budget has room for one token's experts in every layer, each layer gets its own pool. The rest is dealt out to
 * the layers one slot at a time, so that equally large layers differ by at most one slot.
 *
 * With less, as many layers as possible get their own pool and the others share one. A token goes through the layers in
 * turn, so a shared pool rarely still has the experts that the next token needs. A slot is worth more in a layer's own
 * pool.
 * @throws MixtabError `gpu-budget-too-small` or `ram-budget-too-small`, naming the minimum
 */
export function planSlots(budget: SlotBudget): PoolPlan[] {
  const { budgetBytes, fixedBytes, slotBytes, expertsPerToken } = budget;
  const ownMinimum = fixedBytes + expertsPerToken * sum(slotBytes);
  return budgetBytes >= ownMinimum ? ownPools(budget, budgetBytes - ownMinimum) : sharedPools(budget);
}

/** The smallest budget for which {@link planSlots} does not throw. */
export const smallestBudget = ({ fixedBytes, slotBytes, expertsPerToken }: SlotBudget): Bytes =>
  fixedBytes + expertsPerToken * Math.max(...slotBytes);

function ownPools({ slotBytes, expertCount, expertsPerToken }: SlotBudget, spare: Bytes): PoolPlan[] {
  const slots = new Array<number>(slotBytes.length).fill(expertsPerToken);
  let remaining = spare;
  for (let round = expertsPerToken; round < expertCount; round++) {
    for (let layer = 0; layer < slots.length; layer++) {
      if (slotBytes[layer] > remaining) continue;
      slots[layer]++;
      remaining -= slotBytes[layer];
    }
  }
  return slots.map((count, layer) => ({ layers: [layerIndex(layer)], slots: count }));
}

function sharedPools(budget: SlotBudget): PoolPlan[] {
  const { budgetBytes, slotBytes, expertCount, expertsPerToken } = budget;
  const largest = Math.max(...slotBytes);
  const minimum = smallestBudget(budget);
  if (budgetBytes < minimum) throw tooSmall(budget, minimum);
  let remaining = budgetBytes - minimum;
  const tryTake = (bytes: Bytes): boolean => {
    if (bytes > remaining) return false;
    remaining -= bytes;
    return true;
  };
  const shared: PoolPlan = { layers: [], slots: expertsPerToken };
  // Room for the experts of two layers, so that the next layer's can be uploaded while this layer computes.
  while (shared.slots < 2 * expertsPerToken && tryTake(largest)) shared.slots++;
  const own: PoolPlan[] = [];
  for (const layer of spreadOut(slotBytes.length)) {
    if (tryTake(expertsPerToken * slotBytes[layer])) own.push({ layers: [layer], slots: expertsPerToken });
    else shared.layers.push(layer);
  }
  shared.slots = Math.min(shared.slots, expertCount * shared.layers.length);
  return shared.slots > 0 ? [...own, shared] : own;
}

function tooSmall({ memory, budgetBytes, automatic, fixedBytes }: SlotBudget, minimum: Bytes): MixtabError {
  const [code, kind, other] =
    memory === 'gpu'
      ? (['gpu-budget-too-small', 'GPU', 'use the GPU'] as const)
      : (['ram-budget-too-small', 'memory', 'use much memory'] as const);
  const needs = `this model needs at least ${megabytes(minimum)}`;
  const parts = `(${megabytes(minimum - fixedBytes)} for the experts of one layer, ${megabytes(fixedBytes)} for the rest).`;
  if (automatic) {
    return new MixtabError(
      code,
      `Only ${megabytes(budgetBytes)} of ${kind === 'GPU' ? 'GPU memory' : kind} can be used here, but ${needs} ${parts}`,
      `Close other tabs and programs that ${other}, or lower the context length in the settings.`,
    );
  }
  return new MixtabError(
    code,
    `A ${kind} budget of ${megabytes(budgetBytes)} is too small: ${needs} ${parts}`,
    `Raise the ${kind} budget to ${megabytes(minimum)} or more, or lower the context length.`,
  );
}

/**
 * All layers, ordered so that the first n are spread evenly over the model for every n. The waits in the layers without
 * a pool of their own are then spread over the token. Uses multiples of the golden ratio.
 */
function spreadOut(layerCount: number): LayerIndex[] {
  const golden = (Math.sqrt(5) - 1) / 2;
  return Array.from({ length: layerCount }, (_, layer) => ({ layer: layerIndex(layer), order: (layer * golden) % 1 }))
    .sort((a, b) => a.order - b.order)
    .map(({ layer }) => layer);
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, n) => total + n, 0);
