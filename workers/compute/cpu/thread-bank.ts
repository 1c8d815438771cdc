/**
 * One WebAssembly memory of a compute thread: weights, and room for the activations of a chunk of tokens. A memory holds
 * at most 4 GB, so a thread of a large model has several.
 */
import { MixtabError } from '../../../src/contract/errors.ts';
import type { Bytes } from '../../../src/contract/ids.ts';
import type { TensorLayout } from '../../format/weight-layout.ts';
import { type Address, type CpuMatrix, type CpuVectors, KernelModule } from './kernels-module.ts';
import type { ThreadShape } from './thread-shape.ts';

/** A memory takes no more weights than this, so that its activations and tables fit beside them in 4 GB. */
export const BANK_BYTES: Bytes = 3 * 2 ** 30;

/** Activations of up to `chunkTokens` tokens or assignments. */
export interface Scratch {
  /** [chunkTokens, embeddingLength]: normalized residuals. */
  normed: CpuVectors;
  /** f32[chunkTokens, query heads of the thread, headDim] */
  queries: Address;
  /** f32[chunkTokens, key heads of the thread, headDim] */
  keys: Address;
  values: Address;
  /** As `keys`: a correction of either. */
  correction: Address;
  /** f32[ropeDimensionCount] of one position: see `Vector.rope`. */
  rope: Address;
  /** f32[context, 4]: the scores of four heads. */
  scores: Address;
  /** f32[chunkTokens, query heads of the thread, headDim] */
  attended: Address;
  /** [chunkTokens, headCount * headDim] */
  allAttended: CpuVectors;
  /** f32[chunkTokens, rows of `gate`], like `up`. */
  gate: Address;
  up: Address;
  /** [chunkTokens, feedForwardLength] */
  activations: CpuVectors;
  /** f32[chunkTokens, rows]: the outputs of any matrix whose outputs leave the thread. */
  out: Address;
}

export class ThreadBank {
  readonly kernels: KernelModule;
  readonly scratch: Scratch;
  #weightBytes: Bytes = 0;

  /** @throws MixtabError `out-of-memory` */
  constructor(
    module: WebAssembly.Module,
    private readonly shape: ThreadShape,
  ) {
    this.kernels = withEnoughMemory(() => KernelModule.instantiate(module));
    this.scratch = withEnoughMemory(() => allocateScratch(this.kernels, shape));
  }

  hasRoom(bytes: Bytes): boolean {
    return this.#weightBytes === 0 || this.#weightBytes + bytes <= this.shape.bankBytes;
  }

  /** @throws MixtabError `out-of-memory` */
  allocate(bytes: Bytes): Address {
    this.#weightBytes += bytes;
    return withEnoughMemory(() => this.kernels.allocate(bytes));
  }

  /**
   * The matrix of a tensor in a slice that begins at `address`.
   * @param struct see {@link KernelModule.matrix}
   */
  matrix(layout: TensorLayout, address: Address, struct?: Address): CpuMatrix {
    return withEnoughMemory(() => this.kernels.matrix(layout, address + layout.offset, struct));
  }
}

/** Bytes of the activations of one memory, about. */
export function scratchBytes({ config, chunkTokens, context, heads, rows }: ThreadShape): Bytes {
  const { embeddingLength, feedForwardLength, headCount, headDim } = config;
  const floats = 2 * heads.queries * headDim + 3 * heads.kvs * headDim + 2 * rows.gate + widestOutput(rows);
  /** Bytes per value of a vector that is kept as f32 and rounded to 16 bits. */
  const vectorBytes = 6.5;
  const perToken = 4 * floats + vectorBytes * (embeddingLength + headCount * headDim + feedForwardLength);
  return chunkTokens * perToken + 16 * context;
}

const widestOutput = ({ down, attentionOutput, output }: ThreadShape['rows']): number =>
  Math.max(down, attentionOutput, output);

function allocateScratch(kernels: KernelModule, shape: ThreadShape): Scratch {
  const { config, chunkTokens, context, heads, rows } = shape;
  const { embeddingLength, feedForwardLength, headCount, headDim, ropeDimensionCount } = config;
  const floats = (count: number): Address => kernels.allocate(count * 4);
  return {
    normed: kernels.vectors(chunkTokens, embeddingLength),
    queries: floats(chunkTokens * heads.queries * headDim),
    keys: floats(chunkTokens * heads.kvs * headDim),
    values: floats(chunkTokens * heads.kvs * headDim),
    correction: floats(chunkTokens * heads.kvs * headDim),
    rope: floats(ropeDimensionCount),
    scores: floats(4 * context),
    attended: floats(chunkTokens * heads.queries * headDim),
    allAttended: kernels.vectors(chunkTokens, headCount * headDim),
    gate: floats(chunkTokens * rows.gate),
    up: floats(chunkTokens * rows.gate),
    activations: kernels.vectors(chunkTokens, feedForwardLength),
    out: floats(chunkTokens * widestOutput(rows)),
  };
}

/** Turns the RangeError of a memory that cannot grow into an error for the user. */
function withEnoughMemory<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new MixtabError(
      'out-of-memory',
      `The browser gives this page no more memory for the model (${error.message}).`,
      'Lower the memory budget or the context in the settings, or close other tabs, and load the model again.',
    );
  }
}
