/** The memory of the expert slots, as the expert cache uses it. Each compute backend implements it. */
import type { RESIDENCE } from '../../src/contract/engine-api.ts';
import type { ExpertId, SlotIndex } from '../../src/contract/ids.ts';
import type { RecordParts } from '../format/record-parts.ts';

/** The memory of all expert slots, and the table that says which expert is in which slot. */
export interface SlotMemory {
  /** Experts per layer. */
  readonly expertCount: number;
  /** Where an expert in a slot is, for the statistics. */
  readonly residence: (typeof RESIDENCE)['gpu' | 'ram'];
  /** The kernel slot: the number that kernels use for a slot that holds this expert. */
  kernelSlotOf(expert: ExpertId, slot: SlotIndex): number;
  /**
   * Replaces the contents of a slot. Work submitted earlier still reads the slot's old expert, work submitted later the
   * new one. Synchronous, so that residency, slot table and contents change as one.
   */
  upload(expert: ExpertId, slot: SlotIndex, record: RecordParts): void;
  /** A record that has been read is not uploaded after all. It may be kept in main memory, and uploaded later. */
  forget?(record: RecordParts): void;
  /** Changes the slot table. `undefined`: the expert has no slot. */
  setSlot(expert: ExpertId, slot: SlotIndex | undefined): void;
}
