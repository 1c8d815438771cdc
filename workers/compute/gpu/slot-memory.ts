/**
 * The GPU memory of the expert slots: banks of buffers for each pool, and the slot table.
 *
 * The experts of a pool may have different weight types, either because layers share the pool or because the file
 * stores each expert as its own tensor. Kernels are compiled for one type, so each *kind* of expert has its own banks
 * over the same memory. For kernels, slot s has the number k * slots + s if it holds an expert of kind k. The slot
 * table and the groups contain these *kernel slots*. Slots are as large as the largest kind needs.
 */
import { RESIDENCE } from '../../../src/contract/engine-api.ts';
import { MixtabError } from '../../../src/contract/errors.ts';
import type { Bytes, ExpertId, LayerIndex, SlotIndex } from '../../../src/contract/ids.ts';
import type { PoolPlan } from '../../experts/budget.ts';
import type { SlotMemory } from '../../experts/slot-memory.ts';
import type { RecordParts } from '../../format/record-parts.ts';
import type { ExpertLayout, LayerExperts } from '../model-records.ts';
import { type Slice, whole } from './dispatch.ts';
import { type ExpertBank, NO_SLOT } from './ops/context.ts';
import { piecesOf, type Uploads } from './uploads/upload-piece.ts';

const gateUpStride = (experts: LayerExperts): Bytes => Math.max(...experts.map(({ down }) => down.offset));
const downStride = (experts: LayerExperts): Bytes => Math.max(...experts.map(({ down }) => down.bytes));

/** GPU bytes of a slot that is large enough for any of these experts. */
export const slotBytes = (experts: LayerExperts): Bytes => gateUpStride(experts) + downStride(experts);

/** Experts with the same kind name use the same kernels. */
const kindName = ({ gate, up, down }: ExpertLayout): string => `${gate.type} ${up.type} ${down.type}`;

/** The slots of one pool. */
interface Pool {
  slots: number;
  kinds: ExpertLayout[];
  /** Banks, by kind. */
  banks: ExpertBank[][];
}

/** The GPU buffers of all expert slots, and the slot table that the router kernel reads. */
export class GpuSlotMemory implements SlotMemory {
  readonly residence = RESIDENCE.gpu;
  /** u32[layerCount * expertCount]: each expert's kernel slot, or NO_SLOT. */
  readonly slotTable: Slice;
  readonly #poolOf: Pool[] = [];
  /** Kind of each expert, by ExpertId. */
  readonly #kindOf: number[] = [];
  readonly #pools: Pool[] = [];
  #bytes: Bytes = 0;

  /**
   * @param layers the layouts of each layer's experts
   * @param pools how many slots there are, and for which layers
   * @param expertCount experts per layer
   * @param uploads copies the records of experts; its owner destroys it
   * @throws MixtabError `gpu-limit` if one expert is larger than the adapter can bind
   */
  constructor(
    readonly device: GPUDevice,
    private readonly layers: readonly LayerExperts[],
    pools: readonly PoolPlan[],
    readonly expertCount: number,
    private readonly uploads: Uploads,
  ) {
    try {
      for (const plan of pools) this.#pools.push(this.#createPool(plan));
    } catch (error) {
      destroyPools(this.#pools);
      throw error;
    }
    const table = device.createBuffer({
      label: 'slot table',
      size: layers.length * expertCount * 4,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
    });
    device.queue.writeBuffer(table, 0, new Uint32Array(layers.length * expertCount).fill(NO_SLOT));
    this.slotTable = whole(table);
    this.#bytes += table.size;
  }

  /** Bytes of all slots and of the slot table. */
  get bytes(): Bytes {
    return this.#bytes;
  }

  /** The buffers of all banks. */
  get buffers(): GPUBuffer[] {
    const banks = this.#pools.flatMap((pool) => pool.banks[0]); // all kinds share the buffers
    return banks.flatMap(({ gateUp, down }) => [gateUp.buffer, down.buffer]);
  }

  /** The banks that may hold experts of a layer. */
  banks(layer: LayerIndex): readonly ExpertBank[] {
    const { kinds, banks } = this.#poolOf[layer];
    const ownKinds = new Set(this.layers[layer].map(kindName));
    return banks.filter((_, kind) => ownKinds.has(kindName(kinds[kind]))).flat();
  }

  kernelSlotOf(expert: ExpertId, slot: SlotIndex): number {
    return this.#kindOf[expert] * this.#pool(expert).slots + slot;
  }

  /**
   * Queues the upload of an expert's record to a slot. Kernels submitted earlier still read the slot's old expert,
   * kernels submitted later the new one.
   */
  upload(expert: ExpertId, slot: SlotIndex, record: RecordParts): void {
    const { kinds, banks } = this.#pool(expert);
    const kind = this.#kindOf[expert];
    const kernelSlot = this.kernelSlotOf(expert, slot);
    const bank = banks[kind].find(({ firstSlot, slots }) => kernelSlot >= firstSlot && kernelSlot < firstSlot + slots);
    if (!bank) throw new RangeError(`expert ${expert}'s pool has no slot ${slot}`);
    const index = kernelSlot - bank.firstSlot;
    const { down } = kinds[kind];
    const pieces = [
      ...piecesOf(record, 0, down.offset, bank.gateUp.buffer, index * bank.gateUpStride),
      ...piecesOf(record, down.offset, down.bytes, bank.down.buffer, index * bank.downStride),
    ];
    this.uploads.upload(pieces, record);
  }

  forget(record: RecordParts): void {
    this.uploads.forget?.(record);
  }

  /** Queues a change of the slot table. `undefined`: the expert has no slot. */
  setSlot(expert: ExpertId, slot: SlotIndex | undefined): void {
    const kernelSlot = slot === undefined ? NO_SLOT : this.kernelSlotOf(expert, slot);
    this.device.queue.writeBuffer(this.slotTable.buffer, expert * 4, new Uint32Array([kernelSlot]));
  }

  destroy(): void {
    destroyPools(this.#pools);
    this.slotTable.buffer.destroy();
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

function destroyPools(pools: readonly Pool[]): void {
  for (const { banks } of pools) {
    for (const bank of banks.flat()) {
      bank.gateUp.buffer.destroy(); // all kinds share it, and destroying it again does nothing
      bank.down.buffer.destroy();
    }
  }
}

/** Creates as few banks as the adapter's binding limit allows. The banks of all kinds share the same buffers. */
function createBanks(
  device: GPUDevice,
  experts: LayerExperts,
  kinds: readonly ExpertLayout[],
  slots: number,
  label: string,
): ExpertBank[][] {
  const strides = { gateUpStride: gateUpStride(experts), downStride: downStride(experts) };
  const limit = Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize);
  const largest = Math.max(strides.gateUpStride, strides.downStride);
  const perBank = Math.floor(limit / largest);
  if (perBank < 1) {
    throw new MixtabError(
      'gpu-limit',
      `An expert needs a buffer of ${largest} bytes, but this GPU binds at most ${limit} bytes.`,
      'Choose a file with fewer bits per weight.',
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
