/**
 * Keeps a slow GPU usable by other programs. A GPU shows nothing on the screen while it runs one of our kernels, and
 * Windows resets it after two seconds. So work is cut by the time that it will probably take: into submissions, and the
 * experts of a prompt into dispatches (slicing.ts). A fast GPU gets everything in one piece, as before. No sum depends
 * on where it is cut.
 */
import type { Dispatch } from './dispatch.ts';
import { encodePass } from './dispatch.ts';
import { cutByCost } from './slicing.ts';

/** Milliseconds that one dispatch may take. */
export const DISPATCH_MS = 100;
/** Milliseconds that one submission may take. */
const SUBMISSION_MS = 250;
/**
 * Work per millisecond that is assumed of a GPU before any was measured: that of a slow one, 0.1 TFLOP/s. A fast one gets
 * a few submissions more, once.
 */
const FIRST_RATE = 5e7;
/** How much of a measured time counts at once. One slow submission may have waited for another program. */
const WEIGHT = 0.5;
/** Clocks are coarse. */
const LEAST_MS = 0.1;
/** Submissions below this share of {@link SUBMISSION_MS} are not timed. */
const LEAST_TIMED_SHARE = 0.1;

/** Knows how fast a GPU works, from the submissions that it has finished, and cuts work accordingly. */
export class Pacing {
  /** Work per millisecond. See {@link Dispatch.cost}. */
  #rate: number;
  /** When the GPU finished the last submission that was timed. */
  #doneAt = Number.NEGATIVE_INFINITY;
  /** Milliseconds. */
  readonly now: () => number;

  /**
   * @param rate work per millisecond, before any was measured
   * @param now milliseconds; default: `performance.now`
   */
  constructor({ rate = FIRST_RATE, now = () => performance.now() }: { rate?: number; now?: () => number } = {}) {
    this.#rate = rate;
    this.now = now;
  }

  /** The most work of one dispatch. */
  get dispatchCost(): number {
    return this.#rate * DISPATCH_MS;
  }

  /** The most work of one submission. */
  get submissionCost(): number {
    return this.#rate * SUBMISSION_MS;
  }

  /** Learns from a submission of this much work that is queued now. @param done resolves when the GPU has finished it */
  async time(cost: number, done: Promise<unknown>): Promise<void> {
    if (cost < LEAST_TIMED_SHARE * this.submissionCost) return;
    const queuedAt = this.now();
    try {
      await done;
    } catch {
      return; // the device was lost
    }
    const doneAt = this.now();
    // The GPU works on one submission after the other.
    const ms = doneAt - Math.max(queuedAt, this.#doneAt);
    this.#doneAt = doneAt;
    // The mean of times, not of rates: so that a GPU that has become slow is noticed at once.
    this.#rate = 1 / ((1 - WEIGHT) / this.#rate + (WEIGHT * Math.max(ms, LEAST_MS)) / cost);
  }
}

/** What paced work needs of an operation's context. `pacing` is absent where nothing has to be cut. */
export interface PacedContext {
  pipelines: { device: GPUDevice };
  pacing?: Pacing | undefined;
}

/**
 * Encodes dispatches as one compute pass. If they are too much for one submission, submits all parts but the last one.
 * @returns the encoder of the last part. Submit it before the next `await`
 */
export function encodePaced(
  { pipelines: { device }, pacing }: PacedContext,
  dispatches: readonly Dispatch[],
  label = '',
): GPUCommandEncoder {
  if (!pacing) return encodePass(device, dispatches, label);
  const parts = cutByCost(dispatches, pacing.submissionCost);
  const last = parts.pop() ?? [];
  for (const part of parts) {
    device.queue.submit([encodePass(device, part, label).finish()]);
    void pacing.time(costOf(part), device.queue.onSubmittedWorkDone());
  }
  const cost = costOf(last);
  queueMicrotask(() => void pacing.time(cost, device.queue.onSubmittedWorkDone())); // once the caller has submitted it
  return encodePass(device, last, label);
}

/** Submits dispatches as one compute pass, or as several if they are too much for one. */
export function submitPaced(ctx: PacedContext, dispatches: readonly Dispatch[], label = ''): void {
  ctx.pipelines.device.queue.submit([encodePaced(ctx, dispatches, label).finish()]);
}

const costOf = (dispatches: readonly Dispatch[]): number => dispatches.reduce((sum, { cost = 0 }) => sum + cost, 0);
