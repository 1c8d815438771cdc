/**
 * The GPU memory of the expert slots: banks of buffers for each layer, and the slot table.
 *
 * A file with an expert a tensor may give the experts of one layer different types. Kernels are compiled for a type,
 * so each *kind* of expert has banks of its own over the same memory: kind k's view of slot s is number
 * k * slots + s, which is what the slot table and the groups hold. Slots are as large as the largest kind needs.
 */
import { MixtabError } from '../../src/contract/errors.ts';
import type { Bytes, ExpertIndex, LayerIndex, SlotIndex } from '../../src/contract/ids.ts';
import { layerIndex } from '../../src/contract/ids.ts';
import type { TensorLayout } from '../../src/contract/weight-layout.ts';
import { type Slice, whole } from '../gpu/dispatch.ts';
import { type ExpertBank, NO_SLOT } from '../gpu/ops/context.ts';

/** Layouts of an expert's matrices in its record. */
export interface ExpertLayout {
  gate: TensorLayout;
  up: TensorLayout;
  down: TensorLayout;
}

/** The experts of a layer: nearly always of one kind. */
export interface LayerExperts {
  kinds: readonly ExpertLayout[];
  /** Index into `kinds` for each expert. */
  kindOf: readonly number[];
}

/** Sorts a layer's experts by kind. */
export function layerExperts(layouts: readonly ExpertLayout[]): LayerExperts {
  const nameOf = ({ gate, up, down }: ExpertLayout) => `${gate.type} ${up.type} ${down.type}`;
  const names = [...new Set(layouts.map(nameOf))];
  return {
    kinds: names.map((name) => layouts.find((layout) => nameOf(layout) === name)!),
    kindOf: layouts.map((layout) => names.indexOf(nameOf(layout))),
  };
}

const gateUpStride = ({ kinds }: LayerExperts): Bytes => Math.max(...kinds.map(({ down }) => down.offset));
const downStride = ({ kinds }: LayerExperts): Bytes => Math.max(...kinds.map(({ down }) => down.bytes));

/** GPU bytes of one slot: gate and up, and down. */
export const slotBytes = (experts: LayerExperts): Bytes => gateUpStride(experts) + downStride(experts);

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
    private readonly layers: readonly LayerExperts[],
    private readonly slotCounts: readonly number[],
    readonly expertCount: number,
  ) {
    this.#banks = layers.map((experts, layer) => createBanks(device, experts, slotCounts[layer], layerIndex(layer)));
    const table = device.createBuffer({
      label: 'slot table',
      size: layers.length * expertCount * 4,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
    });
    device.queue.writeBuffer(table, 0, new Uint32Array(layers.length * expertCount).fill(NO_SLOT));
    this.slotTable = whole(table);
    this.bytes = layers.reduce((sum, experts, layer) => sum + slotBytes(experts) * slotCounts[layer], table.size);
  }

  banks(layer: LayerIndex): readonly ExpertBank[] {
    return this.#banks[layer];
  }

  /** What kernels call the slot when this expert is in it. */
  viewOf(layer: LayerIndex, expert: ExpertIndex, slot: SlotIndex): number {
    return this.layers[layer].kindOf[expert] * this.slotCounts[layer] + slot;
  }

  /**
   * Queues the upload of an expert's record into a slot. Kernels submitted before read the slot's
   * old expert, kernels submitted after the new one.
   */
  upload(layer: LayerIndex, expert: ExpertIndex, slot: SlotIndex, record: Uint8Array<ArrayBuffer>): void {
    const view = this.viewOf(layer, expert, slot);
    const bank = this.#banks[layer].find(({ firstSlot, slots }) => view >= firstSlot && view < firstSlot + slots);
    if (!bank) throw new RangeError(`layer ${layer} has no slot ${slot}`);
    const index = view - bank.firstSlot;
    const { down } = this.layers[layer].kinds[this.layers[layer].kindOf[expert]];
    const { queue } = this.device;
    queue.writeBuffer(bank.gateUp.buffer, index * bank.gateUpStride, record, 0, down.offset);
    queue.writeBuffer(bank.down.buffer, index * bank.downStride, record, down.offset, down.bytes);
  }

  /** Queues a change of the slot table. */
  setSlot(layer: LayerIndex, expert: ExpertIndex, slot: SlotIndex | undefined): void {
    const offset = (layer * this.expertCount + expert) * 4;
    const view = slot === undefined ? NO_SLOT : this.viewOf(layer, expert, slot);
    this.device.queue.writeBuffer(this.slotTable.buffer, offset, new Uint32Array([view]));
  }

  destroy(): void {
    for (const bank of this.#banks.flat()) {
      bank.gateUp.buffer.destroy();
      bank.down.buffer.destroy();
    }
    this.slotTable.buffer.destroy();
  }
}

/** As few banks as the adapter's binding limit allows, times the kinds of experts. */
function createBanks(device: GPUDevice, experts: LayerExperts, slots: number, layer: LayerIndex): ExpertBank[] {
  const strides = { gateUpStride: gateUpStride(experts), downStride: downStride(experts) };
  const limit = Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize);
  const perBank = Math.floor(limit / Math.max(strides.gateUpStride, strides.downStride));
  if (perBank < 1) {
    throw new MixtabError(
      'gpu-limit',
      `An expert's gate and up matrices take ${strides.gateUpStride} bytes; this adapter binds at most ${limit}.`,
      'Use a file with fewer bits a weight.',
    );
  }
  const banks: ExpertBank[] = [];
  for (let first = 0; first < slots; first += perBank) {
    const count = Math.min(perBank, slots - first);
    const buffer = (part: string, stride: Bytes): Slice =>
      whole(
        device.createBuffer({
          label: `L${layer} slots ${first}+ ${part}`,
          size: count * stride,
          usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
        }),
      );
    const memory = { gateUp: buffer('gate+up', strides.gateUpStride), down: buffer('down', strides.downStride), ...strides };
    for (const [kind, { gate, up, down }] of experts.kinds.entries()) {
      banks.push({ firstSlot: kind * slots + first, slots: count, ...memory, gate, up, downLayout: down });
    }
  }
  return banks;
}
