/** The expert slots on the CPU: every thread has its rows of an expert in the slot with the same number. */
import { RESIDENCE } from '../../../src/contract/engine-api.ts';
import type { Bytes, ExpertId, LayerIndex, SlotIndex } from '../../../src/contract/ids.ts';
import type { PoolPlan } from '../../experts/budget.ts';
import type { SlotMemory } from '../../experts/slot-memory.ts';
import type { RecordParts } from '../../format/record-parts.ts';
import type { RecordSlice } from '../../format/slices.ts';
import type { ThreadPool } from './thread-pool.ts';

export interface CpuSlotMemoryOptions {
  pool: ThreadPool;
  /** How each expert is cut: [layer][expert][thread]. */
  slices: readonly (readonly (readonly RecordSlice[])[])[];
  pools: readonly PoolPlan[];
  expertCount: number;
}

/** Bytes that one expert takes in all threads. */
export const sliceBytes = (slices: readonly RecordSlice[]): Bytes => slices.reduce((sum, { bytes }) => sum + bytes, 0);

export class CpuSlotMemory implements SlotMemory {
  readonly expertCount: number;
  readonly residence = RESIDENCE.ram;
  readonly #pool: ThreadPool;
  readonly #slices: CpuSlotMemoryOptions['slices'];
  /** The number of the first slot of each layer's pool. */
  readonly #firstSlot: number[] = [];

  /** Reserves the slots in all threads. */
  constructor({ pool, slices, pools, expertCount }: CpuSlotMemoryOptions) {
    this.expertCount = expertCount;
    this.#pool = pool;
    this.#slices = slices;
    const sizes: Bytes[][] = Array.from({ length: pool.size }, () => []);
    for (const { layers, slots } of pools) {
      for (const layer of layers) this.#firstSlot[layer] = sizes[0].length;
      for (const [thread, own] of sizes.entries()) {
        const largest = this.#largestSlice(layers, thread);
        for (let slot = 0; slot < slots; slot++) own.push(largest);
      }
    }
    for (const [thread, own] of sizes.entries()) pool.reserveSlots(thread, own);
  }

  kernelSlotOf(expert: ExpertId, slot: SlotIndex): number {
    return this.#firstSlot[Math.floor(expert / this.expertCount)] + slot;
  }

  /** @param record its parts are the slices of the threads */
  upload(expert: ExpertId, slot: SlotIndex, record: RecordParts): void {
    const slices = this.#slices[Math.floor(expert / this.expertCount)][expert % this.expertCount];
    for (const [thread, { tensors }] of slices.entries()) {
      this.#pool.upload(thread, this.kernelSlotOf(expert, slot), { tensors, bytes: record.parts[thread] });
    }
  }

  /** Nothing to do: the threads get slot numbers with every step. */
  setSlot(): void {}

  #largestSlice(layers: readonly LayerIndex[], thread: number): Bytes {
    return Math.max(...layers.flatMap((layer) => this.#slices[layer].map((slices) => slices[thread].bytes)));
  }
}
