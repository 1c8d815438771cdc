/** Rows of a prompt that is longer than a chunk, on the GPU for as long as the prompt is computed (docs/streaming.md). */

import type { Bytes } from '../../src/contract/ids.ts';
import type { ModelConfig } from '../../src/contract/import-api.ts';
import { withAllocations } from '../compute/gpu/errors.ts';
import { type ChunkActivations, createChunkActivations } from './buffers.ts';

export class PrefillBuffers {
  #chunks: ReturnType<typeof createChunkActivations>[] = [];

  constructor(
    private readonly device: GPUDevice,
    private readonly config: ModelConfig,
  ) {}

  get bytes(): Bytes {
    return this.#chunks.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /**
   * Each chunk has buffers of its own: all together would be larger than some adapters allow.
   * @param counts tokens of each chunk
   * @throws MixtabError `gpu-out-of-memory`, or `internal` for a bug of ours; release what is there by then, too
   */
  async allocate(counts: readonly number[]): Promise<ChunkActivations[]> {
    await withAllocations(this.device, () => {
      for (const count of counts) this.#chunks.push(createChunkActivations(this.device, this.config, count));
    });
    return this.#chunks.map(({ rows }) => rows);
  }

  /** What was submitted with them still runs to its end. */
  release(): void {
    for (const chunk of this.#chunks) chunk.destroy();
    this.#chunks = [];
  }
}
