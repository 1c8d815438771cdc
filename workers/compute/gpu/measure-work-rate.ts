/**
 * Measures how fast a GPU multiplies matrices, before it gets any work that a slow one has to get in pieces.
 */
import type { Clock } from '../../experts/clock-step.ts';
import { rateOf } from '../../experts/measured-memory.ts';
import { changeFact } from './change-alone.ts';
import { type Dispatch, encodePass } from './dispatch.ts';
import { withFirefoxPoll } from './firefox-poll.ts';
import type { Model } from './model/model.ts';
import type { Gpu } from './open-gpu.ts';
import { matmul } from './ops/matmul.ts';

/** Name of the rate among the facts about an adapter. */
const FACT = 'work rate';
/** A GPU of 1 TFLOP/s or more: work is rarely cut there, so the rate is not measured again. */
const FAST_RATE = 5e8;
/** Tokens of the product that is measured: as many as a tile takes. */
const TOKENS = 64;
/** The first measurement takes this share of the product, so that a slow GPU is not held up. */
const FIRST_SHARE = 1 / 16;
/** The whole product is measured if the first measurement was shorter. All its repeats then take 0.1 s. */
const MAX_FIRST_MS = 0.5;

/**
 * Gives the pacing of this GPU a rate to begin with. It is remembered, and measured again while it is low: another
 * program can make it much lower, but only a little higher ({@link rateOf}).
 */
export async function assumeWorkRate({ pacing, memory }: Pick<Gpu, 'pacing' | 'memory'>, model: Model): Promise<void> {
  if (!pacing) return;
  const before = readRate(await memory.get(FACT));
  const measured = before < FAST_RATE ? await measureWorkRate(model, pacing) : 0;
  const rate = Math.max(measured, before);
  if (measured > before) await changeFact(memory, FACT, readRate, (other) => Math.max(other, rate)); // of another tab
  if (rate > 0) pacing.assume(rate);
}

/** A rate that was stored; 0 if there is none. */
const readRate = (stored: unknown): number =>
  Number.isFinite(stored) && (stored as number) > 0 ? (stored as number) : 0;

/**
 * Work per millisecond of a product with several inputs: the query matrix of the first layer.
 * @returns 0 if its kernel is invalid on this adapter: another variant then takes its place (choose-kernels.ts)
 */
async function measureWorkRate({ ctx, weights, buffers }: Model, clock: Clock): Promise<number> {
  const { device } = ctx.pipelines;
  const matrix = weights.layers[0].attnQ;
  const maxTokens = Math.min(TOKENS, buffers.maxTokens);
  const record = (): Dispatch[] =>
    matmul(ctx, { matrix, input: buffers.normed, output: buffers.q, maxTokens, label: 'measured' });
  if (!(await ctx.pipelines.canCompile(() => void record()))) return 0;
  const [whole] = record();
  const { parts, cost = 0 } = whole;
  buffers.state.startBatch(maxTokens, 0);
  const run = async (dispatch: Dispatch, times: number): Promise<true> => {
    const dispatches = Array.from({ length: times }, () => dispatch);
    device.queue.submit([encodePass(device, dispatches, 'work rate').finish()]);
    await withFirefoxPoll(device.queue, device.queue.onSubmittedWorkDone());
    return true;
  };
  const rate = async (dispatch: Dispatch, work: number): Promise<number> =>
    ((await rateOf(work, (times) => run(dispatch, times), clock)) ?? 0) / 1000;
  const few = Math.ceil(parts!.count * FIRST_SHARE);
  const piece = { ...whole, ...parts!.slice(0, few) };
  const pieceWork = (cost * few) / parts!.count;
  await run(piece, 1); // provides what only the first run takes time for
  const first = await rate(piece, pieceWork);
  return pieceWork / first > MAX_FIRST_MS ? first : Math.max(first, await rate(whole, cost));
}
