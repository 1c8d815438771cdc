/** Times dispatches by the clock of the CPU: enough of them per submission that the submission itself hardly counts. */
import { type Dispatch, encodePass } from '../compute/gpu/dispatch.ts';
import { withFirefoxPoll } from '../compute/gpu/firefox-poll.ts';
import { cutForPacing, Pacing } from '../compute/gpu/pacing.ts';
import { costOf } from '../compute/gpu/slicing.ts';
import { LEAST_CLOCK_STEPS } from '../experts/clock-step.ts';

export interface Sampling {
  /** Milliseconds that a sample takes at least. */
  sampleMs: number;
  /** Samples, of which the fastest counts: other programs can only make one slower. */
  samples: number;
  /** Milliseconds that an empty submission takes, which are subtracted. */
  submitMs: number;
  /** Milliseconds by which the clock advances. A sample takes a few of them at least. */
  clockStepMs: number;
  /**
   * Work per millisecond that is assumed until calls have been timed, so that a slow GPU does not hold up the screen
   * (docs/kernels.md). If absent, nothing is cut.
   */
  rate?: number;
  /** Default: `performance.now` */
  now?: () => number;
}

/** Most calls in one sample. A pass with many more takes much memory in the browser. */
const MAX_CALLS = 4000;
/**
 * A sample stays near this, so that slow adapters are not reset by the system, which allows two seconds. With a clock
 * whose steps are longer than 40 ms it takes fewer than five of them, and figures are rough.
 */
const MAX_SAMPLE_MS = 200;

/** Waits until everything that was submitted is done. */
export const idle = (device: GPUDevice): Promise<unknown> =>
  withFirefoxPoll(device.queue, device.queue.onSubmittedWorkDone());

/**
 * The milliseconds of one call, in the fastest sample.
 * @param copies equal calls on different data, used in turns so that no cache holds the data of all
 */
export async function timeDispatches(
  device: GPUDevice,
  copies: readonly (readonly Dispatch[])[],
  { sampleMs, samples, submitMs, clockStepMs, rate, now = () => performance.now() }: Sampling,
): Promise<number> {
  let next = 0;
  // One of its own: the variants of a kernel differ in their rates by more than a GPU may be held up.
  const pacing = rate === undefined ? undefined : new Pacing({ rate });
  const time = async (calls: number): Promise<number> => {
    const dispatches = Array.from({ length: calls }, () => copies[next++ % copies.length]).flat();
    const parts = pacing ? cutForPacing(pacing, dispatches) : [dispatches];
    const commands = parts.map((part) => encodePass(device, part, 'measure').finish());
    const start = now();
    for (const part of commands) device.queue.submit([part]);
    await idle(device);
    const ms = Math.max(1e-4, clockStepMs, now() - start - submitMs);
    const cost = costOf(dispatches);
    if (cost > 0) pacing?.assume(cost / ms);
    return ms;
  };
  await time(1); // compiles, and fills caches
  let tried = Math.min(2, copies.length);
  let ms = await time(tried);
  const leastMs = Math.min(LEAST_CLOCK_STEPS * clockStepMs, Math.max(2 * clockStepMs, MAX_SAMPLE_MS / 2));
  while (ms < leastMs && tried < MAX_CALLS) {
    tried = Math.min(2 * tried, MAX_CALLS);
    ms = await time(tried);
  }
  const target = Math.min(Math.max(sampleMs, LEAST_CLOCK_STEPS * clockStepMs), MAX_SAMPLE_MS);
  const calls = Math.ceil(Math.min(MAX_CALLS, Math.max(1, (target / ms) * tried)));
  let best = Number.POSITIVE_INFINITY;
  for (let sample = 0; sample < samples; sample++) best = Math.min(best, (await time(calls)) / calls);
  return best;
}
