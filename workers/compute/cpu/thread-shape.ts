/** What a compute thread has to know of the model and of its own part of it. Plain data, sent to its worker. */
import type { Bytes } from '../../../src/contract/ids.ts';
import type { ModelConfig } from '../../../src/contract/import-api.ts';
import { evenPart, type HeadRange, headsOf } from './partition.ts';

export interface ThreadShape {
  config: ModelConfig;
  /** Index of the thread, and how many there are. */
  thread: number;
  threads: number;
  /** Positions that the KV cache may hold. */
  context: number;
  /** Tokens, or assignments of tokens to experts, that are computed together. */
  chunkTokens: number;
  /** Weights that one memory takes at most: see `ThreadBank`. */
  bankBytes: Bytes;
  heads: HeadRange;
  /** How many rows of each matrix the thread computes. Those of `up` are as many as those of `gate`. */
  rows: { attentionOutput: number; gate: number; down: number; output: number };
}

/** @param outputParts rows of each part of the output matrix */
export function threadShape(
  inputs: Pick<ThreadShape, 'config' | 'threads' | 'context' | 'chunkTokens' | 'bankBytes'>,
  outputParts: readonly number[],
  thread: number,
): ThreadShape {
  const { config, threads } = inputs;
  const count = (rows: number): number => {
    const { from, to } = evenPart(rows, threads, thread);
    return to - from;
  };
  return {
    ...inputs,
    thread,
    heads: headsOf(config, threads, thread),
    rows: {
      attentionOutput: count(config.embeddingLength),
      gate: count(config.feedForwardLength),
      down: count(config.embeddingLength),
      output: outputParts.reduce((sum, rows) => sum + count(rows), 0),
    },
  };
}
