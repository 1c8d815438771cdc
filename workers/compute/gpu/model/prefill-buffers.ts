/**
 * The activations of a prompt that is longer than a chunk, allocated while the prompt is computed (docs/streaming.md).
 */

import type { Bytes } from '../../../../src/contract/ids.ts';
import type { ModelConfig } from '../../../../src/contract/import-api.ts';
import { withAllocations } from '../errors.ts';
import { type ChunkActivations, createChunkActivations } from './buffers.ts';

/** Allocates and releases the activations of prompts that are longer than one chunk. */
export class PrefillBuffers {
  #chunks: ReturnType<typeof createChunkActivations>[] = [];

  constructor(
    private readonly device: GPUDevice,
    private readonly config: ModelConfig,
  ) {}

  /** The GPU bytes that are allocated now. */
  get bytes(): Bytes {
    return this.#chunks.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /**
   * Allocates the activations of all chunks. Each chunk has its own buffers, because some adapters limit the size of a
   * buffer.
   * @param counts the number of tokens of each chunk
   * @throws MixtabError `gpu-out-of-memory`, or `internal` for a bug in mixtab. Nothing is allocated then.
   */
  async allocate(counts: readonly number[]): Promise<ChunkActivations[]> {
    await withAllocations(
      this.device,
      () => {
        for (const count of counts) this.#chunks.push(createChunkActivations(this.device, this.config, count));
      },
      () => this.release(),
    );
    return this.#chunks.map(({ activations }) => activations);
  }

  /** Destroys the buffers. Work that was already submitted with them still completes. */
  release(): void {
    for (const chunk of this.#chunks) chunk.destroy();
    this.#chunks = [];
  }
}
