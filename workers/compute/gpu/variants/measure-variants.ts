/** Measures variants on the adapter, in turns. */
import type { Dispatch } from '../dispatch.ts';
import { withFirefoxPoll } from '../firefox-poll.ts';
import { type PacedContext, submitPaced } from '../pacing.ts';

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
 * Milliseconds of each candidate per turn. In a turn all candidates run one after the other, each in submissions of its
 * own, so that whatever slows the GPU down affects all of them.
 */
export const measureInTurns = <Name extends string>(
  ctx: PacedContext,
  candidates: readonly Candidate<Name>[],
  options: MeasureOptions,
): Promise<Map<Name, number[]>> =>
  timeInTurns(
    ctx.pipelines.device,
    candidates.map(({ name, dispatches }) => ({
      name,
      queue: () => submitPaced(ctx, dispatches, `measure ${name}`),
    })),
    options,
  );

/** As {@link measureInTurns}, for anything that is queued. */
export async function timeInTurns<Name extends string>(
  { queue }: Pick<GPUDevice, 'queue'>,
  candidates: readonly { name: Name; queue(): void }[],
  { turns, deadlineMs, now = () => performance.now() }: MeasureOptions,
): Promise<Map<Name, number[]>> {
  const times = new Map<Name, number[]>(candidates.map(({ name }) => [name, []]));
  const start = now();
  for (let turn = 0; turn <= turns; turn++) {
    if (turn > 1 && now() - start > deadlineMs) break;
    for (const candidate of candidates) {
      const before = now();
      candidate.queue();
      await withFirefoxPoll(queue, queue.onSubmittedWorkDone());
      if (turn > 0) times.get(candidate.name)!.push(now() - before); // the first turn warms up
    }
  }
  return times;
}
