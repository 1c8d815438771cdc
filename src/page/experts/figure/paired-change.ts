/** How the perplexity of one text changes from one reading to another. Pure. */
import type { ScoreResult } from '../../../contract/engine-api.ts';
import { halfInterval } from './statistics.ts';

/** By how much the perplexity changes between two readings: shares, such as -0.2 for a fifth less. */
export interface Change {
  change: number;
  /** The 95% interval, from the differences of the blocks. Absent if the text is too short to say. */
  low?: number;
  high?: number;
}

type Reading = Pick<ScoreResult, 'nll' | 'blocks'>;

/** Compares two readings block by block, so that hard and easy parts of the text do not blur the difference. */
export function changeBetween(from: Reading, to: Reading): Change {
  const difference = to.nll - from.nll;
  const change = Math.exp(difference) - 1;
  const differences = to.blocks.map(({ nll }, block) => nll - from.blocks[block].nll);
  if (differences.length < 2) return { change };
  const count = differences.length;
  const mean = differences.reduce((sum, value) => sum + value, 0) / count;
  const variance = differences.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1);
  const half = halfInterval(Math.sqrt(variance / count), count);
  return { change, low: Math.exp(difference - half) - 1, high: Math.exp(difference + half) - 1 };
}

/** Whether noise could explain a change; true too if the text is too short to say. */
export const couldBeNoise = ({ low, high }: Change): boolean => low === undefined || (low < 0 && high! > 0);
