/**
 * Keeps a slow GPU usable by other programs. A GPU shows nothing on the screen while it runs one of our kernels, and
 * Windows resets it after two seconds. So work is cut by the time that it will probably take: dispatches into dispatches
 * with fewer rows, and lists of them into submissions (slicing.ts). A fast GPU gets everything in one piece. No sum
 * depends on where it is cut.
 */
import { type Clock, LEAST_CLOCK_STEPS } from '../../experts/clock-step.ts';
import { type Dispatch, encodePass } from './dispatch.ts';
import { costOf, cutByCost, cutDispatch } from './slicing.ts';

/** Milliseconds that one dispatch may take. */
const DISPATCH_MS = 100;
/** Milliseconds that one submission may take. */
const SUBMISSION_MS = 250;
/**
 * Work per millisecond that is assumed of a GPU before any was measured: that of a slow one, 0.1 TFLOP/s. A fast one
 * gets a few submissions more, once.
 */
const FIRST_RATE = 5e7;
/** How much of a submission's time counts at once. One slow submission may have waited for another program. */
const WEIGHT = 0.5;
/** A submission that seems to take less has ended together with the one before it. */
const LEAST_MS = 0.1;
/** Submissions below this share of {@link SUBMISSION_MS} are not timed. */
const LEAST_TIMED_SHARE = 0.1;

/** Knows how fast a GPU works, from the submissions that it has finished, and cuts work accordingly. */
export class Pacing implements Clock {
  /** Work per millisecond. See {@link Dispatch.cost}. */
  #rate: number;
  /** When the GPU finished the last submission that was timed. */
  #doneAt = Number.NEGATIVE_INFINITY;
  /** The last sample, and the rate before it. */
  #last: (Sample & { rate: number }) | undefined;
  #hasLearned = false;
  /** Milliseconds. */
  readonly now: () => number;
  /** Milliseconds by which {@link now} advances. */
  readonly clockStepMs: number;

  /**
   * @param rate work per millisecond, before any was measured
   * @param now milliseconds; default: `performance.now`
   * @param clockStepMs milliseconds by which `now` advances
   */
  constructor({ rate = FIRST_RATE, now = () => performance.now(), clockStepMs = 0 }: PacingOptions = {}) {
    this.#rate = rate;
    this.now = now;
    this.clockStepMs = clockStepMs;
  }

  /** The most work of one dispatch. */
  get dispatchCost(): number {
    return this.#rate * DISPATCH_MS;
  }

  /** The most work of one submission. */
  get submissionCost(): number {
    return this.#rate * SUBMISSION_MS;
  }

  /** Assumes a rate that was measured, unless one was learned from real work. */
  assume(rate: number): void {
    if (!this.#hasLearned) this.#rate = rate;
  }

  /** Learns how long the GPU takes for submissions that were queued together. */
  async time({ cost, count, queuedAt, done, isWhole }: TimedWork): Promise<void> {
    if (cost < LEAST_TIMED_SHARE * this.submissionCost) return;
    try {
      await done();
      const doneAt = this.now();
      // The GPU works on one submission after the other.
      const ms = doneAt - Math.max(queuedAt, this.#doneAt);
      this.#doneAt = doneAt;
      this.#learn((await isWhole()) ? { cost, count, ms } : { cost: 0, count: 0, ms });
    } catch {
      // the device was lost
    }
  }

  /**
   * A busy thread hears of several ends at once. Then the first one has taken the time of all, so they count as one. So
   * do samples that together take a few steps of the clock: each of them says nothing, or even that no time has passed.
   */
  #learn(sample: Sample): void {
    const before = this.#last;
    const leastMs = Math.max(LEAST_MS, LEAST_CLOCK_STEPS * this.clockStepMs);
    const isShort = before && before.ms < leastMs && before.cost > 0 && sample.cost > 0;
    const joined = before && (isShort || sample.ms < LEAST_MS);
    const { cost, count, ms } = joined
      ? { cost: before.cost + sample.cost, count: before.count + sample.count, ms: before.ms + sample.ms }
      : sample;
    const rate = joined ? before.rate : this.#rate;
    this.#last = { cost, count, ms, rate };
    if (sample.cost === 0 || ms < leastMs) return;
    const weight = 1 - (1 - WEIGHT) ** count;
    // The mean of times, not of rates: so that a GPU that has become slow is noticed at once.
    this.#rate = 1 / ((1 - weight) / rate + (weight * (ms + this.clockStepMs)) / cost);
    this.#hasLearned = true;
  }
}

interface PacingOptions extends Partial<Clock> {
  rate?: number;
}

/** What the GPU has done. */
interface Sample {
  /** 0 if it is not known. */
  cost: number;
  /** Submissions. */
  count: number;
  ms: number;
}

/** Submissions that were queued together. */
interface TimedWork {
  /** Of all of them. */
  cost: number;
  count: number;
  /** When the first one was queued. See {@link Pacing.now}. */
  queuedAt: number;
  /** Resolves when the GPU has finished the last one. Called at once, if at all. */
  done: () => Promise<unknown>;
  /** Whether the GPU has done all of this work. Called after `done`. */
  isWhole: () => Promise<boolean>;
}

/** What paced work needs of an operation's context. `pacing` is absent where nothing has to be cut. */
export interface PacedContext {
  pipelines: { device: GPUDevice };
  pacing?: Pacing | undefined;
}

/** Cuts dispatches, and divides them among submissions. */
export function cutForPacing(pacing: Pacing, dispatches: readonly Dispatch[]): Dispatch[][] {
  const pieces = dispatches.flatMap((dispatch) => cutDispatch(dispatch, pacing.dispatchCost));
  return cutByCost(pieces, pacing.submissionCost);
}

/**
 * Encodes dispatches as one compute pass. If they are too much for one submission, submits all parts but the last one.
 * @param isWhole whether the GPU has done all of this work; after a stall, kernels return at once. Called when the GPU
 * has finished. Default: true
 * @returns the encoder of the last part. Submit it before the next `await`
 */
export function encodePaced(
  ctx: PacedContext,
  dispatches: readonly Dispatch[],
  label = '',
  isWhole: () => Promise<boolean> = async () => true,
): GPUCommandEncoder {
  const { encoder, startTiming } = encodeParts(ctx, dispatches, label);
  queueMicrotask(() => startTiming(isWhole)); // once the caller has submitted it
  return encoder;
}

/** Submits dispatches as one compute pass, or as several if they are too much for one. */
export function submitPaced(ctx: PacedContext, dispatches: readonly Dispatch[], label = ''): void {
  const { encoder, startTiming } = encodeParts(ctx, dispatches, label);
  ctx.pipelines.device.queue.submit([encoder.finish()]);
  startTiming(async () => true);
}

/**
 * Submits all parts but the last one.
 * @returns the encoder of the last part, and what times all of them. It is called when the last part was submitted, and
 * before anything else is
 */
function encodeParts(
  { pipelines: { device }, pacing }: PacedContext,
  dispatches: readonly Dispatch[],
  label: string,
): { encoder: GPUCommandEncoder; startTiming: (isWhole: () => Promise<boolean>) => void } {
  if (!pacing) return { encoder: encodePass(device, dispatches, label), startTiming: () => {} };
  const parts = cutForPacing(pacing, dispatches);
  const last = parts.pop() ?? [];
  let firstAt: number | undefined;
  for (const part of parts) {
    device.queue.submit([encodePass(device, part, label).finish()]);
    firstAt ??= pacing.now();
  }
  const startTiming = (isWhole: () => Promise<boolean>): void => {
    void pacing.time({
      cost: costOf(dispatches),
      count: parts.length + 1,
      queuedAt: firstAt ?? pacing.now(),
      done: () => device.queue.onSubmittedWorkDone(),
      isWhole,
    });
  };
  return { encoder: encodePass(device, last, label), startTiming };
}
