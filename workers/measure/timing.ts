/** Times dispatches by the clock of the CPU: enough of them per submission that the submission itself hardly counts. */
import { type Dispatch, encode } from '../compute/gpu/dispatch.ts';
import { withFirefoxPoll } from '../compute/gpu/firefox-poll.ts';
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
  { sampleMs, samples, submitMs, clockStepMs, now = () => performance.now() }: Sampling,
): Promise<number> {
  let next = 0;
  const time = async (calls: number): Promise<number> => {
    const encoder = device.createCommandEncoder({ label: 'measure' });
    const pass = encoder.beginComputePass();
    for (let call = 0; call < calls; call++) encode(pass, copies[next++ % copies.length]);
    pass.end();
    const commands = encoder.finish();
    const start = now();
    device.queue.submit([commands]);
    await idle(device);
    return Math.max(1e-4, clockStepMs, now() - start - submitMs);
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
