/** Measures variants of kernels on the adapter, in turns. */
import { type Dispatch, encodePass } from '../dispatch.ts';
import { withFirefoxPoll } from '../firefox-poll.ts';

/** A variant with the dispatches to measure. */
export interface Candidate<Name extends string = string> {
  name: Name;
  dispatches: readonly Dispatch[];
}

export interface MeasureOptions {
  /** Turns of all candidates, after one that is not counted. */
  turns: number;
  /** No turn starts later than this, so that a slow GPU is not held up; the first one always runs. */
  deadlineMs: number;
  /** Default: `performance.now` */
  now?: () => number;
}

/**
 * Milliseconds of each candidate per turn. In a turn all candidates run one after the other, each in a submission of its
 * own, so that whatever slows the GPU down affects all of them.
 */
export async function measureInTurns<Name extends string>(
  device: GPUDevice,
  candidates: readonly Candidate<Name>[],
  { turns, deadlineMs, now = () => performance.now() }: MeasureOptions,
): Promise<Map<Name, number[]>> {
  const times = new Map<Name, number[]>(candidates.map(({ name }) => [name, []]));
  const start = now();
  for (let turn = 0; turn <= turns; turn++) {
    if (turn > 1 && now() - start > deadlineMs) break;
    for (const { name, dispatches } of candidates) {
      const before = now();
      device.queue.submit([encodePass(device, dispatches, `measure ${name}`).finish()]);
      await withFirefoxPoll(device.queue, device.queue.onSubmittedWorkDone());
      if (turn > 0) times.get(name)!.push(now() - before); // the first turn warms up
    }
  }
  return times;
}
