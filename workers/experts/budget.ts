/** Shares a budget of GPU memory out over pools of expert slots. Pure. See docs/streaming.md. */
import { MixtabError } from '../../src/contract/errors.ts';
import { type Bytes, type LayerIndex, layerIndex } from '../../src/contract/ids.ts';

export interface SlotBudget {
  /** GPU memory for everything. */
  budgetBytes: Bytes;
  /** Dense weights, KV cache, scratch and rows of the longest prompt: what is needed whatever the slots. */
  fixedBytes: Bytes;
  /** Bytes of one slot, for each layer. */
  slotBytes: readonly Bytes[];
  expertCount: number;
  expertsPerToken: number;
}

/** Slots that hold experts of these layers, and of no others. */
export interface PoolPlan {
  layers: LayerIndex[];
  slots: number;
}

const megabytes = (bytes: Bytes): string => `${Math.ceil(bytes / 1e6)} MB`;

/**
 * A pool for each layer where the budget has room for one token's experts in every layer: the rest is dealt out one
 * slot at a time over the layers, so that counts differ by at most one. With less, as many layers as possible keep a
 * pool of their own and the others share one: going through the layers in turn, a shared pool hardly ever
 * holds what the next token wants, so slots are worth more where they are a layer's own.
 * @throws MixtabError `gpu-budget-too-small`, naming the minimum
 */
export function planSlots(budget: SlotBudget): PoolPlan[] {
  const { budgetBytes, fixedBytes, slotBytes, expertsPerToken } = budget;
  const ownMinimum = fixedBytes + expertsPerToken * sum(slotBytes);
  return budgetBytes >= ownMinimum ? ownPools(budget, budgetBytes - ownMinimum) : sharedPools(budget);
}

function ownPools({ slotBytes, expertCount, expertsPerToken }: SlotBudget, spare: Bytes): PoolPlan[] {
  const slots = new Array<number>(slotBytes.length).fill(expertsPerToken);
  let left = spare;
  for (let round = expertsPerToken; round < expertCount; round++) {
    for (let layer = 0; layer < slots.length; layer++) {
      if (slotBytes[layer] > left) continue;
      slots[layer]++;
      left -= slotBytes[layer];
    }
  }
  return slots.map((count, layer) => ({ layers: [layerIndex(layer)], slots: count }));
}

function sharedPools({ budgetBytes, fixedBytes, slotBytes, expertCount, expertsPerToken }: SlotBudget): PoolPlan[] {
  const largest = Math.max(...slotBytes);
  const minimum = fixedBytes + expertsPerToken * largest;
  if (budgetBytes < minimum) {
    throw new MixtabError(
      'gpu-budget-too-small',
      `A GPU budget of ${megabytes(budgetBytes)} is too small: this model needs at least ${megabytes(minimum)} ` +
        `(${megabytes(fixedBytes)} for what is always resident, ${megabytes(minimum - fixedBytes)} for the experts of one layer).`,
      `Raise the GPU budget to ${megabytes(minimum)} or more, or lower the context.`,
    );
  }
  let left = budgetBytes - minimum;
  const spend = (bytes: Bytes): boolean => {
    if (bytes > left) return false;
    left -= bytes;
    return true;
  };
  const shared: PoolPlan = { layers: [], slots: expertsPerToken };
  // Room for the next layer's experts beside this one's, so that they can be uploaded while this one computes.
  while (shared.slots < 2 * expertsPerToken && spend(largest)) shared.slots++;
  const own: PoolPlan[] = [];
  for (const layer of spreadOut(slotBytes.length)) {
    if (spend(expertsPerToken * slotBytes[layer])) own.push({ layers: [layer], slots: expertsPerToken });
    else shared.layers.push(layer);
  }
  shared.slots = Math.min(shared.slots, expertCount * shared.layers.length);
  return shared.slots > 0 ? [...own, shared] : own;
}

/** All layers, in an order whose every beginning is spread over the model: waits are then spread over a token. */
function spreadOut(layerCount: number): LayerIndex[] {
  const golden = (Math.sqrt(5) - 1) / 2;
  return Array.from({ length: layerCount }, (_, layer) => ({ layer: layerIndex(layer), at: (layer * golden) % 1 }))
    .sort((a, b) => a.at - b.at)
    .map(({ layer }) => layer);
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, n) => total + n, 0);
