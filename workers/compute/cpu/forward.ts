/**
 * The forward pass on the CPU, top to bottom. Activations are f32 arrays in this worker; the threads get what they need
 * of them with each step. Each row of the activations is a token's.
 */
import type { TokenId } from '../../../src/contract/ids.ts';
import type { ModelConfig } from '../../../src/contract/import-api.ts';
import type { SlotRows } from './compute-thread.ts';
import type { Embedding } from './embedding.ts';
import type { HostKernels } from './host-kernels.ts';
import { evenPart } from './partition.ts';
import { ReusedFloats } from './reused-floats.ts';
import type { ThreadPool } from './thread-pool.ts';
import type { ThreadShape } from './thread-shape.ts';

/** Where a thread's output columns go in the output of all threads. */
interface Columns {
  /** First column of the thread's output. */
  from: number;
  /** Where it goes. */
  to: number;
  count: number;
}

/** What the outputs of all threads are put together to. */
type Output = 'heads' | 'residual' | 'hidden' | 'logits';

export interface ForwardInputs {
  config: ModelConfig;
  pool: ThreadPool;
  host: HostKernels;
  embedding: Embedding;
  shapes: readonly ThreadShape[];
  /** How many rows each part of the output matrix has. */
  outputParts: readonly number[];
  /** f32[context, ropeDimensionCount / 2, 2] */
  ropeTable: Float32Array;
}

export class Forward {
  readonly config: ModelConfig;
  readonly host: HostKernels;
  readonly #inputs: ForwardInputs;
  /** The columns of every thread's output, for each kind of output. */
  readonly #columns: Record<Output, Columns[][]>;
  /** Where outputs are put together, so that neither a token nor a chunk needs new memory. */
  readonly #gathered: Record<Output, ReusedFloats> = {
    heads: new ReusedFloats(),
    residual: new ReusedFloats(),
    hidden: new ReusedFloats(),
    logits: new ReusedFloats(),
  };

  constructor(inputs: ForwardInputs) {
    const { config, host, shapes, outputParts } = inputs;
    const { headDim } = config;
    this.config = config;
    this.host = host;
    this.#inputs = inputs;
    this.#columns = {
      heads: oneAfterAnother(shapes.map(({ heads }) => heads.queries * headDim)),
      residual: oneAfterAnother(shapes.map(({ rows }) => rows.down)),
      hidden: oneAfterAnother(shapes.map(({ rows }) => rows.gate)),
      logits: columnsOfParts(outputParts, shapes),
    };
  }

  /** @returns f32[tokens, embeddingLength] */
  embed(tokens: readonly TokenId[]): Float32Array<ArrayBuffer> {
    const { embeddingLength } = this.config;
    const residual = new Float32Array(tokens.length * embeddingLength);
    for (const [t, token] of tokens.entries()) residual.set(this.#inputs.embedding.row(token), t * embeddingLength);
    return residual;
  }

  /**
   * `residual += Wo attention(rope(Wq n), rope(Wk n), Wv n)` with `n = rmsnorm(residual)`, for at most a chunk of
   * tokens. Stores their keys and values from `position` on.
   */
  async attend(layer: number, position: number, residual: Float32Array, tiled: boolean): Promise<void> {
    const { pool, ropeTable } = this.#inputs;
    const { embeddingLength, headCount, headDim, ropeDimensionCount } = this.config;
    const tokens = residual.length / embeddingLength;
    const normed = this.host.attentionNorm(layer, residual);
    const rope = ropeTable.subarray(position * ropeDimensionCount, (position + tokens) * ropeDimensionCount);
    const heads = await pool.run('attention', layer, position, normed, rope, tiled);
    const attended = this.#gather(heads, 'heads', tokens, headCount * headDim);
    const outputs = await pool.run('attentionOutput', layer, attended, tiled);
    addTo(residual, this.#gather(outputs, 'residual', tokens, embeddingLength));
  }

  /**
   * Runs experts on at most a chunk of assignments.
   * @param groups the slots of the experts, and how many of the rows of `input` each computes
   * @param input f32[assignments, embeddingLength]; a single row is the input of all groups, which have one row each
   * @param target f32[assignments, embeddingLength], where their outputs go, not weighted
   */
  async runExperts(
    groups: readonly SlotRows[],
    input: Float32Array,
    target: Float32Array,
    tiled: boolean,
  ): Promise<void> {
    const { pool } = this.#inputs;
    const { embeddingLength, feedForwardLength } = this.config;
    const rows = target.length / embeddingLength;
    const hidden = await pool.run('gateUp', groups, input, tiled);
    const activations = this.#gather(hidden, 'hidden', rows, feedForwardLength);
    const outputs = await pool.run('down', groups, activations, tiled);
    place(outputs, this.#columns.residual, { rows, width: embeddingLength, target });
  }

  /**
   * @param residual f32[tokens, embeddingLength], at most a chunk
   * @returns f32[tokens, vocabularySize]; if not in tiles, valid until the next call
   */
  async logits(residual: Float32Array, tiled: boolean): Promise<Float32Array> {
    const tokens = residual.length / this.config.embeddingLength;
    const { vocabularySize: width } = this.config;
    const parts = await this.#inputs.pool.run('head', this.host.outputNorm(residual), tiled);
    // Those of a chunk are too large to be kept.
    const target = tiled ? new Float32Array(tokens * width) : this.#gathered.logits.take(tokens * width);
    place(parts, this.#columns.logits, { rows: tokens, width, target });
    return target;
  }

  /**
   * The logits of one token.
   * @param residual f32[embeddingLength]
   * @param target where they go; it returns f32[vocabularySize], and is called when they are known
   */
  async logitsInto(residual: Float32Array, target: () => Float32Array): Promise<void> {
    const parts = await this.#inputs.pool.run('head', this.host.outputNorm(residual), false);
    place(parts, this.#columns.logits, { rows: 1, width: this.config.vocabularySize, target: target() });
  }

  /** Puts the outputs of all threads together. @returns f32[rows, width], valid until the next of the same kind */
  #gather(parts: readonly Float32Array[], output: Output, rows: number, width: number): Float32Array<ArrayBuffer> {
    const target = this.#gathered[output].take(rows * width);
    place(parts, this.#columns[output], { rows, width, target });
    return target;
  }
}

/** Puts the outputs of all threads into `target`, f32[rows, width]. */
function place(
  parts: readonly Float32Array[],
  columns: readonly Columns[][],
  { rows, width, target }: { rows: number; width: number; target: Float32Array },
): void {
  for (let thread = 0; thread < parts.length; thread++) {
    const part = parts[thread];
    const partWidth = part.length / rows;
    for (const { from, to, count } of columns[thread]) {
      if (partWidth === count && rows === 1) {
        target.set(part, to);
        continue;
      }
      for (let row = 0; row < rows; row++) {
        target.set(part.subarray(row * partWidth + from, row * partWidth + from + count), row * width + to);
      }
    }
  }
}

function addTo(sums: Float32Array, addends: Float32Array): void {
  for (let i = 0; i < sums.length; i++) sums[i] += addends[i];
}

function oneAfterAnother(counts: readonly number[]): Columns[][] {
  let to = 0;
  return counts.map((count) => {
    const columns = [{ from: 0, to, count }];
    to += count;
    return columns;
  });
}

/** A thread has some rows of each part of the output matrix. */
function columnsOfParts(parts: readonly number[], shapes: readonly ThreadShape[]): Columns[][] {
  return shapes.map(({ threads, thread }) => {
    let from = 0;
    let partStart = 0;
    return parts.map((rows) => {
      const range = evenPart(rows, threads, thread);
      const columns = { from, to: partStart + range.from, count: range.to - range.from };
      from += columns.count;
      partStart += rows;
      return columns;
    });
  });
}
