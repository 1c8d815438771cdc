/** The GPU memory of the expert slots: banks of buffers for each layer, and the slot table. */
import { MixtabError } from '../../src/contract/errors.ts';
import type { Bytes, ExpertIndex, LayerIndex, SlotIndex } from '../../src/contract/ids.ts';
import { layerIndex } from '../../src/contract/ids.ts';
import type { TensorLayout } from '../../src/contract/weight-layout.ts';
import { type Slice, whole } from '../gpu/dispatch.ts';
import { type ExpertBank, NO_SLOT } from '../gpu/ops/context.ts';

/** Layouts of an expert's matrices in its record; the same for all experts of a layer. */
export interface ExpertLayout {
  gate: TensorLayout;
  up: TensorLayout;
  down: TensorLayout;
}

/** GPU bytes of one slot: gate and up, and down, without what separates them. */
export function slotBytes({ down }: ExpertLayout): Bytes {
  return down.offset + down.bytes;
}

export class SlotPool {
  readonly bytes: Bytes;
  /** u32[layerCount * expertCount]: slot of each expert, or NO_SLOT. */
  readonly slotTable: Slice;
  readonly #banks: ExpertBank[][];

  /**
   * @param slotCounts slots of each layer
   * @throws MixtabError `gpu-limit` where one expert is larger than the adapter can bind
   */
  constructor(
    readonly device: GPUDevice,
    layouts: readonly ExpertLayout[],
    slotCounts: readonly number[],
    readonly expertCount: number,
  ) {
    this.#banks = layouts.map((layout, layer) => createBanks(device, layout, slotCounts[layer], layerIndex(layer)));
    const table = device.createBuffer({
      label: 'slot table',
      size: layouts.length * expertCount * 4,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
    });
    device.queue.writeBuffer(table, 0, new Uint32Array(layouts.length * expertCount).fill(NO_SLOT));
    this.slotTable = whole(table);
    this.bytes = layouts.reduce((sum, layout, layer) => sum + slotBytes(layout) * slotCounts[layer], table.size);
  }

  banks(layer: LayerIndex): readonly ExpertBank[] {
    return this.#banks[layer];
  }

  /**
   * Queues the upload of an expert's record into a slot. Kernels submitted before read the slot's
   * old expert, kernels submitted after the new one.
   */
  upload(layer: LayerIndex, slot: SlotIndex, record: Uint8Array<ArrayBuffer>): void {
    const bank = this.#banks[layer].find(({ firstSlot, slots }) => slot >= firstSlot && slot < firstSlot + slots);
    if (!bank) throw new RangeError(`layer ${layer} has no slot ${slot}`);
    const index = slot - bank.firstSlot;
    const { queue } = this.device;
    queue.writeBuffer(bank.gateUp.buffer, index * bank.gateUpStride, record, 0, bank.gateUpStride);
    queue.writeBuffer(bank.down.buffer, index * bank.downStride, record, bank.gateUpStride, bank.downStride);
  }

  /** Queues a change of the slot table. */
  setSlot(layer: LayerIndex, expert: ExpertIndex, slot: SlotIndex | undefined): void {
    const offset = (layer * this.expertCount + expert) * 4;
    this.device.queue.writeBuffer(this.slotTable.buffer, offset, new Uint32Array([slot ?? NO_SLOT]));
  }

  destroy(): void {
    for (const bank of this.#banks.flat()) {
      bank.gateUp.buffer.destroy();
      bank.down.buffer.destroy();
    }
    this.slotTable.buffer.destroy();
  }
}

/** As few banks as the adapter's binding limit allows. */
function createBanks(
  device: GPUDevice,
  { gate, up, down }: ExpertLayout,
  slots: number,
  layer: LayerIndex,
): ExpertBank[] {
  const gateUpStride = down.offset;
  const downStride = down.bytes;
  const limit = Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize);
  const perBank = Math.floor(limit / Math.max(gateUpStride, downStride));
  if (perBank < 1) {
    throw new MixtabError(
      'gpu-limit',
      `An expert's gate and up matrices take ${gateUpStride} bytes; this adapter binds at most ${limit}.`,
      'Use a file with fewer bits a weight.',
    );
  }
  const banks: ExpertBank[] = [];
  for (let firstSlot = 0; firstSlot < slots; firstSlot += perBank) {
    const count = Math.min(perBank, slots - firstSlot);
    const buffer = (part: string, stride: Bytes): Slice =>
      whole(
        device.createBuffer({
          label: `L${layer} slots ${firstSlot}+ ${part}`,
          size: count * stride,
          usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
        }),
      );
    banks.push({
      firstSlot,
      slots: count,
      gateUp: buffer('gate+up', gateUpStride),
      gateUpStride,
      down: buffer('down', downStride),
      downStride,
      gate,
      up,
      downLayout: down,
    });
  }
  return banks;
}
