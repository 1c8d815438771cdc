/** Shares a budget of GPU memory out over pools of expert slots. Pure. See docs/streaming.md. */
import { MixtabError } from '../../src/contract/errors.ts';
import { type Bytes, type LayerIndex, layerIndex } from '../../src/contract/ids.ts';

export interface SlotBudget {
  /** GPU memory for everything. */
  budgetBytes: Bytes;
  /** Dense weights, KV cache and scratch: what is needed whatever the slots. */
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

/** Tokens of a prompt that go through a layer together: an expert is read once for all of them. */
export interface PromptRows {
  /** What there must be room for. */
  least: number;
  most: number;
  /** Only whole steps, unless it is `most`. */
  step: number;
  /** GPU memory that each takes. */
  bytesEach: Bytes;
}

/**
 * How many tokens of a prompt to make room for: all that a context holds where they take no more than half of what the
 * budget leaves beside the least it must hold, or than what the experts leave.
 * @param budget its `fixedBytes` counts the least rows
 */
export function planPromptRows(budget: SlotBudget, { least, most, step, bytesEach }: PromptRows): number {
  const { budgetBytes, fixedBytes, slotBytes, expertCount, expertsPerToken } = budget;
  const spare = budgetBytes - fixedBytes - expertsPerToken * Math.max(...slotBytes);
  const left = budgetBytes - fixedBytes - expertCount * sum(slotBytes);
  const rows = least + Math.floor(Math.max(0, spare / 2, left) / bytesEach);
  return rows >= most ? most : Math.max(least, rows - (rows % step));
}

/** A prompt on its way through the layers, and the memory that its rows can have. */
export interface PromptMemory {
  /** Positions before it, already in the KV cache. */
  position: number;
  tokens: number;
  /** Rows there are in any case, whole steps unless they are enough for the context. */
  standing: number;
  /** Stretches are whole steps, but for the last. */
  step: number;
  rowBytes: Bytes;
  /** GPU memory that is set aside for the KV cache and not in use while it holds `positions`. */
  reserveAt: (positions: number) => Bytes;
}

/**
 * How many tokens of a prompt go through the layers together, stretch after stretch. Each stretch reads the experts anew,
 * so there are as few as there can be; among as few, the longest is as short as can be, since reading hides best behind
 * equal work. Beyond the standing rows a stretch borrows what the KV cache, grown for it and no further, leaves unused.
 */
export function planStretches(memory: PromptMemory): number[] {
  const fewest = greedyStretches(memory, memory.tokens);
  for (let longest = memory.step; ; longest += memory.step) {
    const stretches = longest < fewest[0] ? greedyStretches(memory, longest) : fewest;
    if (stretches.length === fewest.length) return stretches;
  }
}

/** Each stretch as long as there is memory for, none above `longest`. */
function greedyStretches({ position, tokens, standing, step, rowBytes, reserveAt }: PromptMemory, longest: number): number[] {
  const stretches: number[] = [];
  for (let done = 0; done < tokens; done += stretches.at(-1)!) {
    const most = Math.min(tokens - done, longest);
    const finds = (rows: number): boolean => (rows - standing) * rowBytes <= reserveAt(position + done + rows);
    let rows = Math.min(most, standing);
    while (rows < most && finds(Math.min(most, rows + step))) rows = Math.min(most, rows + step);
    stretches.push(rows);
  }
  return stretches;
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
