/**
 * Blocks of consecutive tokens, from whose spread the error of a mean is estimated (batch means). The errors of tokens
 * themselves would be too small, because neighbouring tokens are alike. Pure.
 */

/** Blocks are longer than this, so that two of them have little to do with each other. */
const MIN_BLOCK_TOKENS = 32;
/** More blocks would not make the error much more certain, and longer ones are more independent. */
const MAX_BLOCKS = 64;

/** @returns how many blocks a text of `tokens` tokens is cut into; 1 if it is too short for two */
export function blockCount(tokens: number): number {
  return Math.max(1, Math.min(MAX_BLOCKS, Math.floor(tokens / MIN_BLOCK_TOKENS)));
}

/** @returns the block of a token. Blocks differ by at most one token. */
export const blockOf = (token: number, tokens: number, blocks: number): number => Math.floor((token * blocks) / tokens);

/** @returns the standard error of a mean, from the means of at least two blocks of equal size */
export function standardError(blockMeans: readonly number[]): number {
  const count = blockMeans.length;
  const mean = blockMeans.reduce((sum, value) => sum + value, 0) / count;
  const squares = blockMeans.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return Math.sqrt(squares / (count * (count - 1)));
}
