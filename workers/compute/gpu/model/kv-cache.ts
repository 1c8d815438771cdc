/**
 * The keys and values of past positions: f16 packed in u32. Each layer has one buffer for keys and one for values,
 * which grow in pages.
 */

import type { Bytes } from '../../../../src/contract/ids.ts';
import { type KvShape, kvCacheBytes } from '../../compute.ts';
import { type Slice, whole } from '../dispatch.ts';
import { withAllocations } from '../errors.ts';
import { withFirefoxPoll } from '../firefox-poll.ts';

/** Positions by which the cache grows. */
export const PAGE_POSITIONS = 512;

/** The keys and values of one layer: packed pairs of f16. */
export interface LayerCache {
  /** u32[capacity, kvHeadCount, headDim / 2]: rotated keys. */
  keys: Slice;
  /** u32[capacity, kvHeadCount, headDim / 2] */
  values: Slice;
}

const positionBytes = ({ kvHeadCount, headDim }: KvShape): Bytes => kvHeadCount * headDim * 2;

/** The keys and values of all layers on the GPU. Grows up to a limit. */
export class KvCache {
  /** Replaced by a new array when the cache grows. */
  layers: LayerCache[];
  /** Positions that the cache has room for now. */
  capacity: number;

  /** @param limit positions the cache may grow to */
  constructor(
    readonly device: GPUDevice,
    readonly shape: KvShape,
    readonly limit: number,
  ) {
    this.capacity = Math.min(limit, PAGE_POSITIONS);
    this.layers = Array.from({ length: shape.layerCount }, (_, layer) => this.#allocate(layer, this.capacity));
  }

  /** The GPU bytes that are allocated now. */
  get bytes(): Bytes {
    return kvCacheBytes(this.shape, this.capacity);
  }

  /**
   * Grows the cache to at least `positions` and keeps its contents. Layers are copied one after the other, so that at
   * most one layer is in memory twice. Nothing may be recorded or submitted meanwhile.
   * @returns true if the buffers changed; dispatches with the old buffers must then be recorded again
   * @throws MixtabError `gpu-out-of-memory`: the contents are kept, but some buffers may have changed
   * @throws RangeError if `positions` exceeds the limit
   */
  async grow(positions: number): Promise<boolean> {
    if (positions <= this.capacity) return false;
    if (positions > this.limit) throw new RangeError(`${positions} positions exceed the limit of ${this.limit}`);
    // Doubling keeps the number of copies small. Growing by one page would copy a long cache again and again.
    const target = Math.max(positions, 2 * this.capacity);
    const capacity = Math.min(this.limit, Math.ceil(target / PAGE_POSITIONS) * PAGE_POSITIONS);
    const layers = [...this.layers];
    this.layers = layers;
    for (const [layer, old] of layers.entries()) {
      const larger = await withAllocations(this.device, () => this.#allocate(layer, capacity), destroyLayer);
      layers[layer] = this.#move(old, larger);
      await withFirefoxPoll(this.device.queue, this.device.queue.onSubmittedWorkDone());
    }
    this.capacity = capacity;
    return true;
  }

  destroy(): void {
    this.layers.forEach(destroyLayer);
  }

  /** Copies a layer to larger buffers and destroys the old ones. @returns `moved` */
  #move(old: LayerCache, moved: LayerCache): LayerCache {
    const encoder = this.device.createCommandEncoder({ label: 'grow KV cache' });
    for (const kind of ['keys', 'values'] as const) {
      encoder.copyBufferToBuffer(old[kind].buffer, 0, moved[kind].buffer, 0, old[kind].size);
    }
    this.device.queue.submit([encoder.finish()]);
    destroyLayer(old);
    return moved;
  }

  #allocate(layer: number, capacity: number): LayerCache {
    const buffer = (label: string): Slice =>
      whole(
        this.device.createBuffer({
          label,
          size: capacity * positionBytes(this.shape),
          usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
        }),
      );
    return { keys: buffer(`L${layer} keys`), values: buffer(`L${layer} values`) };
  }
}

function destroyLayer({ keys, values }: LayerCache): void {
  keys.buffer.destroy();
  values.buffer.destroy();
}
