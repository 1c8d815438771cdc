/** Shares a budget of GPU memory out over the layers' expert slots. Pure. */
import { MixtabError } from '../../src/contract/errors.ts';
import type { Bytes } from '../../src/contract/ids.ts';

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

const megabytes = (bytes: Bytes): string => `${Math.ceil(bytes / 1e6)} MB`;

/**
 * Slots for each layer: at least what one token needs, at most one for each expert, the rest of
 * the budget dealt out one slot at a time over the layers, so that counts differ by at most one.
 * @throws MixtabError `gpu-budget-too-small`, naming the minimum
 */
export function planSlots({ budgetBytes, fixedBytes, slotBytes, expertCount, expertsPerToken }: SlotBudget): number[] {
  const perSlot = slotBytes.reduce((sum, bytes) => sum + bytes, 0);
  const minimum = fixedBytes + expertsPerToken * perSlot;
  if (budgetBytes < minimum) {
    throw new MixtabError(
      'gpu-budget-too-small',
      `A GPU budget of ${megabytes(budgetBytes)} is too small: this model needs at least ${megabytes(minimum)} ` +
        `(${megabytes(fixedBytes)} for what is always resident, ${megabytes(minimum - fixedBytes)} for ${expertsPerToken} expert slots a layer).`,
      `Raise the GPU budget to ${megabytes(minimum)} or more, or lower the context.`,
    );
  }
  const slots = new Array<number>(slotBytes.length).fill(expertsPerToken);
  let left = budgetBytes - minimum;
  for (let round = expertsPerToken; round < expertCount; round++) {
    for (let layer = 0; layer < slots.length; layer++) {
      if (slotBytes[layer] > left) continue;
      slots[layer]++;
      left -= slotBytes[layer];
    }
  }
  return slots;
}
