/** The GPU memory of the expert slots: banks of buffers for each pool, and the slot table. */
import { MixtabError } from '../../src/contract/errors.ts';
import type { Bytes, ExpertId, LayerIndex, SlotIndex } from '../../src/contract/ids.ts';
import type { TensorLayout } from '../../src/contract/weight-layout.ts';
import { type Slice, whole } from '../gpu/dispatch.ts';
import { type ExpertBank, NO_SLOT } from '../gpu/ops/context.ts';
import type { PoolPlan } from './budget.ts';

/** Layouts of an expert's matrices in its record; the same for all experts of a layer. */
export interface ExpertLayout {
  gate: TensorLayout;
  up: TensorLayout;
  down: TensorLayout;
}

/** Layers with the same number have experts that are laid out alike, so that they may share slots. */
export function layoutClasses(layouts: readonly ExpertLayout[]): number[] {
  const seen = new Map<string, number>();
  return layouts.map((layout) => {
    const shape = JSON.stringify(layout);
    if (!seen.has(shape)) seen.set(shape, seen.size);
    return seen.get(shape)!;
  });
}

/** GPU bytes of one slot: gate and up, and down, without what separates them. */
export function slotBytes({ down }: ExpertLayout): Bytes {
  return down.offset + down.bytes;
}

export class SlotMemory {
  readonly bytes: Bytes;
  /** u32[layerCount * expertCount]: slot of each expert, or NO_SLOT. */
  readonly slotTable: Slice;
  /** Banks of the pool that each layer's experts lie in. */
  readonly #banks: ExpertBank[][];

  /**
   * @param pools which slots hold which layers' experts; layers of one pool are laid out alike
   * @throws MixtabError `gpu-limit` where one expert is larger than the adapter can bind
   */
  constructor(
    readonly device: GPUDevice,
    layouts: readonly ExpertLayout[],
    pools: readonly PoolPlan[],
    readonly expertCount: number,
  ) {
    this.#banks = new Array(layouts.length);
    this.bytes = 0;
    for (const { layers, slots } of pools) {
      const banks = createBanks(device, layouts[layers[0]], slots, `L${layers.join('+')}`);
      for (const layer of layers) this.#banks[layer] = banks;
      this.bytes += slotBytes(layouts[layers[0]]) * slots;
    }
    const table = device.createBuffer({
      label: 'slot table',
      size: layouts.length * expertCount * 4,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
    });
    device.queue.writeBuffer(table, 0, new Uint32Array(layouts.length * expertCount).fill(NO_SLOT));
    this.slotTable = whole(table);
    this.bytes += table.size;
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
    if (!bank) throw new RangeError(`layer ${layer}'s pool has no slot ${slot}`);
    const index = slot - bank.firstSlot;
    const { queue } = this.device;
    queue.writeBuffer(bank.gateUp.buffer, index * bank.gateUpStride, record, 0, bank.gateUpStride);
    queue.writeBuffer(bank.down.buffer, index * bank.downStride, record, bank.gateUpStride, bank.downStride);
  }

  /** Queues a change of the slot table. */
  setSlot(expert: ExpertId, slot: SlotIndex | undefined): void {
    this.device.queue.writeBuffer(this.slotTable.buffer, expert * 4, new Uint32Array([slot ?? NO_SLOT]));
  }

  destroy(): void {
    for (const bank of new Set(this.#banks.flat())) {
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
  place: string,
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
          label: `${place} slots ${firstSlot}+ ${part}`,
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
