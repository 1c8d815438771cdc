/** Times dispatches by the clock of the CPU: enough of them per submission that the submission itself hardly counts. */
import { type Dispatch, encode } from '../compute/gpu/dispatch.ts';
import { withFirefoxPoll } from '../compute/gpu/firefox-poll.ts';

export interface Sampling {
  /** Milliseconds that a sample takes at least. */
  sampleMs: number;
  /** Samples, of which the fastest counts: other programs can only make one slower. */
  samples: number;
  /** Milliseconds that an empty submission takes, which are subtracted. */
  submitMs: number;
}

/** Most calls in one sample. A pass with many more takes much memory in the browser. */
const MAX_CALLS = 4000;
/** A sample stays below this, so that slow adapters are not reset by the system, which allows two seconds. */
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
  { sampleMs, samples, submitMs }: Sampling,
): Promise<number> {
  let next = 0;
  const time = async (calls: number): Promise<number> => {
    const encoder = device.createCommandEncoder({ label: 'measure' });
    const pass = encoder.beginComputePass();
    for (let call = 0; call < calls; call++) encode(pass, copies[next++ % copies.length]);
    pass.end();
    const commands = encoder.finish();
    const start = performance.now();
    device.queue.submit([commands]);
    await idle(device);
    return Math.max(1e-4, performance.now() - start - submitMs);
  };
  await time(1); // compiles, and fills caches
  const once = (await time(Math.min(2, copies.length))) / Math.min(2, copies.length);
  const calls = Math.ceil(Math.min(MAX_CALLS, Math.max(1, Math.min(sampleMs, MAX_SAMPLE_MS) / once)));
  let best = Number.POSITIVE_INFINITY;
  for (let sample = 0; sample < samples; sample++) best = Math.min(best, (await time(calls)) / calls);
  return best;
}
