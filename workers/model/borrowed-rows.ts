/**
 * Rows for a long prompt beyond the standing ones, in memory that is set aside for the KV cache and that the cache does
 * not use yet (docs/streaming.md).
 */
import type { ModelConfig } from '../../src/contract/import-api.ts';
import { MixtabError } from '../../src/contract/errors.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import { withAllocations } from '../gpu/errors.ts';
import { createPromptBuffers, promptRowBytes } from './buffers.ts';

export class BorrowedRows {
  #segments: ReturnType<typeof createPromptBuffers>[] = [];

  /** @param bindable rows that the adapter allows in one buffer, whole chunks: more are several buffers */
  constructor(
    private readonly device: GPUDevice,
    private readonly config: ModelConfig,
    private readonly bindable: number,
  ) {}

  get bytes(): Bytes {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  get bytesEach(): Bytes {
    return promptRowBytes(this.config);
  }

  /** In the order of their tokens, each of whole chunks but for the last. */
  get segments(): readonly ReturnType<typeof createPromptBuffers>[] {
    return this.#segments;
  }

  /**
   * @param rows 0 or more, while nothing is borrowed
   * @returns false, and nothing is borrowed, where the GPU has no memory for them
   */
  async borrow(rows: number): Promise<boolean> {
    if (rows === 0) return true;
    try {
      await withAllocations(this.device, () => {
        for (let left = rows; left > 0; left -= this.bindable) {
          this.#segments.push(createPromptBuffers(this.device, this.config, Math.min(left, this.bindable)));
        }
      });
      return true;
    } catch (error) {
      this.giveBack();
      if (error instanceof MixtabError && error.code === 'gpu-out-of-memory') return false;
      throw error;
    }
  }

  /** What was submitted with them still runs to its end. */
  giveBack(): void {
    for (const segment of this.#segments) segment.destroy();
    this.#segments = [];
  }
}
