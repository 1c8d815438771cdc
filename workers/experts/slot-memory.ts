/**
 * The GPU memory of the expert slots: banks of buffers for each pool, and the slot table.
 *
 * Experts of one pool may have different types (a file with an expert a tensor, or layers that share a pool). Kernels
 * are compiled for a type, so each *kind* of expert has banks of its own over the same memory: kind k's view of slot
 * s is number k * slots + s, which is what the slot table and the groups hold. Slots are as large as the largest kind.
 */
import { MixtabError } from '../../src/contract/errors.ts';
import type { Bytes, ExpertId, LayerIndex, SlotIndex } from '../../src/contract/ids.ts';
import { type Slice, whole } from '../compute/gpu/dispatch.ts';
import { type ExpertBank, NO_SLOT } from '../compute/gpu/ops/context.ts';
import { type RecordParts, rangeOf } from '../format/record-parts.ts';
import type { TensorLayout } from '../format/weight-layout.ts';
import type { PoolPlan } from './budget.ts';

/** Layouts of an expert's matrices in its record. */
export interface ExpertLayout {
  gate: TensorLayout;
  up: TensorLayout;
  down: TensorLayout;
}

/** The experts of a layer, in order. */
export type LayerExperts = readonly ExpertLayout[];

const gateUpStride = (experts: LayerExperts): Bytes => Math.max(...experts.map(({ down }) => down.offset));
const downStride = (experts: LayerExperts): Bytes => Math.max(...experts.map(({ down }) => down.bytes));

/** GPU bytes of a slot that any of these experts fits into: gate and up, and down. */
export const slotBytes = (experts: LayerExperts): Bytes => gateUpStride(experts) + downStride(experts);

/** Experts with the same name run through the same kernels. */
const kindName = ({ gate, up, down }: ExpertLayout): string => `${gate.type} ${up.type} ${down.type}`;

/** The slots of one pool. */
interface Pool {
  slots: number;
  kinds: ExpertLayout[];
  /** Banks of each kind. */
  banks: ExpertBank[][];
}

/**
 * Bytes that go to the browser's GPU process at once. Chromium passes them through shared memory that it uses again while
 * pieces are small, and takes fresh where they are not: 7.7 GB/s in pieces of 4 MB, 4.5 in 16 MB, 5.5 in 1 MB.
 */
const UPLOAD_BYTES: Bytes = 4 * 2 ** 20;

export class SlotMemory {
  /** u32[layerCount * expertCount]: view of each expert's slot, or NO_SLOT. */
  readonly slotTable: Slice;
  readonly #poolOf: Pool[] = [];
  /** Kind of each expert, by its number in the whole model. */
  readonly #kindOf: number[] = [];
  readonly #pools: Pool[];
  #bytes: Bytes = 0;

  /**
   * @param pools which slots hold which layers' experts
   * @throws MixtabError `gpu-limit` where one expert is larger than the adapter can bind
   */
  constructor(
    readonly device: GPUDevice,
    private readonly layers: readonly LayerExperts[],
    pools: readonly PoolPlan[],
    readonly expertCount: number,
  ) {
    this.#pools = pools.map((plan) => this.#createPool(plan));
    const table = device.createBuffer({
      label: 'slot table',
      size: layers.length * expertCount * 4,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
    });
    device.queue.writeBuffer(table, 0, new Uint32Array(layers.length * expertCount).fill(NO_SLOT));
    this.slotTable = whole(table);
    this.#bytes += table.size;
  }

  get bytes(): Bytes {
    return this.#bytes;
  }

  /** The banks that a layer's experts may lie in. */
  banks(layer: LayerIndex): readonly ExpertBank[] {
    const { kinds, banks } = this.#poolOf[layer];
    const own = new Set(this.layers[layer].map(kindName));
    return banks.filter((_, kind) => own.has(kindName(kinds[kind]))).flat();
  }

  /** What kernels call the slot when this expert is in it. */
  viewOf(expert: ExpertId, slot: SlotIndex): number {
    return this.#kindOf[expert] * this.#pool(expert).slots + slot;
  }

  /**
   * Queues the upload of an expert's record into a slot. Kernels submitted before read the slot's
   * old expert, kernels submitted after the new one.
   */
  upload(expert: ExpertId, slot: SlotIndex, record: RecordParts): void {
    const { kinds, banks } = this.#pool(expert);
    const kind = this.#kindOf[expert];
    const view = this.viewOf(expert, slot);
    const bank = banks[kind].find(({ firstSlot, slots }) => view >= firstSlot && view < firstSlot + slots);
    if (!bank) throw new RangeError(`expert ${expert}'s pool has no slot ${slot}`);
    const index = view - bank.firstSlot;
    const { down } = kinds[kind];
    this.#write(bank.gateUp.buffer, index * bank.gateUpStride, record, 0, down.offset);
    this.#write(bank.down.buffer, index * bank.downStride, record, down.offset, down.bytes);
  }

  /** Queues a change of the slot table. */
  setSlot(expert: ExpertId, slot: SlotIndex | undefined): void {
    const view = slot === undefined ? NO_SLOT : this.viewOf(expert, slot);
    this.device.queue.writeBuffer(this.slotTable.buffer, expert * 4, new Uint32Array([view]));
  }

  destroy(): void {
    for (const { banks } of this.#pools) {
      for (const bank of banks.flat()) {
        bank.gateUp.buffer.destroy(); // shared by all kinds: destroying it again does nothing
        bank.down.buffer.destroy();
      }
    }
    this.slotTable.buffer.destroy();
  }

  #write(buffer: GPUBuffer, offset: Bytes, record: RecordParts, from: Bytes, length: Bytes): void {
    for (const { at, bytes } of rangeOf(record, from, length)) {
      for (let start = 0; start < bytes.byteLength; start += UPLOAD_BYTES) {
        this.device.queue.writeBuffer(buffer, offset + at + start, bytes.subarray(start, start + UPLOAD_BYTES));
      }
    }
  }

  #pool(expert: ExpertId): Pool {
    return this.#poolOf[Math.floor(expert / this.expertCount)];
  }

  #createPool({ layers, slots }: PoolPlan): Pool {
    const experts = layers.flatMap((layer) => this.layers[layer]);
    const names = [...new Set(experts.map(kindName))];
    const kinds = names.map((name) => experts.find((layout) => kindName(layout) === name)!);
    const pool = { slots, kinds, banks: createBanks(this.device, experts, kinds, slots, `L${layers.join('+')}`) };
    for (const layer of layers) {
      this.#poolOf[layer] = pool;
      for (const [expert, layout] of this.layers[layer].entries()) {
        this.#kindOf[layer * this.expertCount + expert] = names.indexOf(kindName(layout));
      }
    }
    this.#bytes += slotBytes(experts) * slots;
    return pool;
  }
}

/** For each kind as few banks as the adapter's binding limit allows, all kinds over the same memory. */
function createBanks(
  device: GPUDevice,
  experts: LayerExperts,
  kinds: readonly ExpertLayout[],
  slots: number,
  label: string,
): ExpertBank[][] {
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
  const banks: ExpertBank[][] = kinds.map(() => []);
  for (let first = 0; first < slots; first += perBank) {
    const count = Math.min(perBank, slots - first);
    const buffer = (part: string, stride: Bytes): Slice =>
      whole(
        device.createBuffer({
          label: `${label} slots ${first}+ ${part}`,
          size: count * stride,
          usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
        }),
      );
    const memory = {
      gateUp: buffer('gate+up', strides.gateUpStride),
      down: buffer('down', strides.downStride),
      ...strides,
    };
    for (const [kind, { gate, up, down }] of kinds.entries()) {
      banks[kind].push({ firstSlot: kind * slots + first, slots: count, ...memory, gate, up, downLayout: down });
    }
  }
  return banks;
}
