/** Keys and values of past positions, f16 packed in u32; one buffer a layer and kind, growing in pages. */

import type { Bytes } from '../../src/contract/ids.ts';
import type { ModelConfig } from '../../src/contract/import-api.ts';
import { type Slice, whole } from '../compute/gpu/dispatch.ts';
import { withFirefoxPoll } from '../compute/gpu/firefox-poll.ts';

/** Positions by which the cache grows. */
export const PAGE_POSITIONS = 512;

export interface LayerCache {
  /** u32[capacity, kvHeadCount, headDim / 2], rotated keys. */
  keys: Slice;
  /** u32[capacity, kvHeadCount, headDim / 2] */
  values: Slice;
}

type Shape = Pick<ModelConfig, 'layerCount' | 'kvHeadCount' | 'headDim'>;

const positionBytes = ({ kvHeadCount, headDim }: Shape): Bytes => kvHeadCount * headDim * 2;

/** GPU bytes of a cache of `positions`, over all layers. */
export function kvCacheBytes(shape: Shape, positions: number): Bytes {
  return 2 * shape.layerCount * positionBytes(shape) * positions;
}

export class KvCache {
  layers: LayerCache[];
  capacity: number;

  /** @param limit positions the cache may grow to */
  constructor(
    readonly device: GPUDevice,
    readonly shape: Shape,
    readonly limit: number,
  ) {
    this.capacity = Math.min(limit, PAGE_POSITIONS);
    this.layers = Array.from({ length: shape.layerCount }, (_, layer) => this.#allocate(layer, this.capacity));
  }

  get bytes(): Bytes {
    return kvCacheBytes(this.shape, this.capacity);
  }

  /**
   * Grows the cache to hold `positions` (at most `limit`), keeping its contents. A layer after the other, waiting for
   * each: no more than one layer lies in memory twice. Nothing may be recorded or submitted meanwhile.
   * @returns true where the buffers changed: what was recorded with the old ones must be recorded again
   */
  async grow(positions: number): Promise<boolean> {
    if (positions <= this.capacity) return false;
    if (positions > this.limit) throw new RangeError(`${positions} positions exceed the limit of ${this.limit}`);
    // Doubling keeps the copies few; a page at a time would copy a long cache over and over.
    const wanted = Math.max(positions, 2 * this.capacity);
    const capacity = Math.min(this.limit, Math.ceil(wanted / PAGE_POSITIONS) * PAGE_POSITIONS);
    const layers = [...this.layers];
    this.layers = layers;
    for (const [layer, old] of layers.entries()) {
      layers[layer] = this.#moved(old, layer, capacity);
      await withFirefoxPoll(this.device.queue, this.device.queue.onSubmittedWorkDone());
    }
    this.capacity = capacity;
    return true;
  }

  destroy(): void {
    this.layers.forEach(destroyLayer);
  }

  /** A layer's contents in new, larger buffers; the old ones are gone. */
  #moved(old: LayerCache, layer: number, capacity: number): LayerCache {
    const moved = this.#allocate(layer, capacity);
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
