/** Reads and writes the bytes of the KV cache on the GPU, for saved sessions. */
import type { KvCacheBytes, KvRegion, KvShape } from '../compute.ts';
import type { KvCache } from './model/kv-cache.ts';
import { Readback } from './readback.ts';

export class GpuKvCacheBytes implements KvCacheBytes {
  constructor(private readonly cache: KvCache) {}

  get shape(): KvShape {
    return this.cache.shape;
  }

  get limit(): number {
    return this.cache.limit;
  }

  async *read(regions: readonly KvRegion[]): AsyncGenerator<ArrayBuffer> {
    const { device, layers } = this.cache;
    const readback = new Readback(device); // destroyed below, with its large staging buffer
    try {
      for (const { layer, kind, offset, size } of regions) {
        const encoder = device.createCommandEncoder({ label: 'save session' });
        const slice = layers[layer][kind];
        const [bytes] = await readback.submit(encoder, [{ ...slice, offset: slice.offset + offset, size }]);
        yield bytes;
      }
    } finally {
      readback.destroy();
    }
  }

  async reserve(positions: number): Promise<void> {
    await this.cache.grow(positions);
  }

  write({ layer, kind, offset }: KvRegion, bytes: ArrayBuffer): void {
    const slice = this.cache.layers[layer][kind];
    this.cache.device.queue.writeBuffer(slice.buffer, slice.offset + offset, bytes);
  }
}
