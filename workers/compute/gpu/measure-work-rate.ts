/**
 * Measures how fast a GPU multiplies matrices, which decides how many tokens of a prompt go through a kernel together.
 */
import { rateOf } from '../../experts/measured-memory.ts';
import type { AdapterMemory } from '../../store/adapter-memory.ts';
import { encodePass } from './dispatch.ts';
import { withFirefoxPoll } from './firefox-poll.ts';
import type { Model } from './model/model.ts';
import { matmul } from './ops/matmul.ts';
import { DISPATCH_MS } from './pacing.ts';
import { chunkTokens } from './slicing.ts';

/** Name of the rate among the facts about an adapter. */
const FACT = 'work rate';
/** Tokens of the product that is measured: as many as a tile takes. */
const TOKENS = 64;

/**
 * How many tokens of a prompt may go through a kernel of this model together. The rate is remembered, and measured
 * again while it is so low that it decides: another program can make it much lower, but only a little higher
 * ({@link rateOf}).
 * @param now milliseconds
 */
export async function measureChunkTokens(model: Model, memory: AdapterMemory, now: () => number): Promise<number> {
  const { config, kvCache, buffers } = model;
  const tokensAt = (rate: number): number =>
    chunkTokens({ ...config, context: kvCache.limit }, buffers.maxTokens, rate * DISPATCH_MS);
  const known = await memory.get(FACT);
  const before = Number.isFinite(known) && (known as number) > 0 ? (known as number) : 0;
  if (before > 0 && tokensAt(before) === buffers.maxTokens) return buffers.maxTokens;
  const measured = await measureWorkRate(model, now);
  if (measured > before) await memory.set(FACT, measured);
  return tokensAt(Math.max(measured, before));
}

/** Work per millisecond of a product with several inputs: the query matrix of the first layer. */
async function measureWorkRate({ ctx, weights, buffers }: Model, now: () => number): Promise<number> {
  const { device } = ctx.pipelines;
  const matrix = weights.layers[0].attnQ;
  const maxTokens = Math.min(TOKENS, buffers.maxTokens);
  const once = matmul(ctx, { matrix, input: buffers.normed, output: buffers.q, maxTokens, label: 'measured' });
  buffers.state.startBatch(maxTokens, 0);
  const run = async (times: number): Promise<boolean> => {
    const dispatches = Array.from({ length: times }, () => once).flat();
    device.queue.submit([encodePass(device, dispatches, 'work rate').finish()]);
    await withFirefoxPoll(device.queue, device.queue.onSubmittedWorkDone());
    return true;
  };
  await run(1);
  const work = matrix.layout.rows * matrix.layout.cols * maxTokens;
  return ((await rateOf(work, run, { now })) ?? 0) / 1000;
}
