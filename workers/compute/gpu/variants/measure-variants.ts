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
  /** Milliseconds by which `now` advances. */
  clockStepMs: number;
}

/** How many steps of the clock a candidate takes per turn, so that a difference of a tenth can be seen. */
const LEAST_STEPS = 20;
/** With longer steps of the clock a turn takes too long in which every candidate takes so many of them. */
const MOST_STEP_MS = 1.5;
/** Runs of a candidate in a turn. */
const MOST_RUNS = 1024;

/** Whether variants cannot be compared by a clock with these steps. */
export const isTooCoarse = (clockStepMs: number): boolean => clockStepMs > MOST_STEP_MS;

/** What was measured in turns. */
export interface TurnTimes<Name extends string = string> {
  /** Milliseconds of each candidate, one per turn. */
  times: Map<Name, number[]>;
  /** The largest share of a time that may be due to the steps of the clock. */
  clockError: number;
}

/**
 * Milliseconds of each candidate per turn. In a turn all candidates run one after the other, each in submissions of its
 * own, so that whatever slows the GPU down affects all of them.
 * @returns undefined if the clock is too coarse
 */
export const measureInTurns = <Name extends string>(
  ctx: PacedContext,
  candidates: readonly Candidate<Name>[],
  options: MeasureOptions,
): Promise<TurnTimes<Name> | undefined> =>
  timeInTurns(
    ctx.pipelines.device,
    candidates.map(({ name, dispatches }) => ({
      name,
      queue: () => submitPaced(ctx, dispatches, `measure ${name}`),
    })),
    options,
  );

/**
 * As {@link measureInTurns}, for anything that is queued. What takes less than {@link LEAST_STEPS} of the clock runs
 * several times per turn, one after the other.
 */
export async function timeInTurns<Name extends string>(
  { queue }: Pick<GPUDevice, 'queue'>,
  candidates: readonly { name: Name; queue(): void }[],
  { turns, deadlineMs, now = () => performance.now(), clockStepMs }: MeasureOptions,
): Promise<TurnTimes<Name> | undefined> {
  if (isTooCoarse(clockStepMs)) return undefined;
  const time = async (candidate: { queue(): void }, runs: number): Promise<number> => {
    const before = now();
    for (let run = 0; run < runs; run++) {
      candidate.queue();
      await withFirefoxPoll(queue, queue.onSubmittedWorkDone());
    }
    return now() - before;
  };
  const leastMs = LEAST_STEPS * clockStepMs;
  const timed: { candidate: (typeof candidates)[number]; runs: number; times: number[] }[] = [];
  for (const candidate of candidates) {
    await time(candidate, 1); // warms up
    let runs = 1;
    while (leastMs > 0 && (await time(candidate, runs)) < leastMs) {
      runs *= 2;
      if (runs > MOST_RUNS) return undefined;
    }
    timed.push({ candidate, runs, times: [] });
  }
  const start = now();
  let clockError = 0;
  for (let turn = 0; turn < turns && (turn === 0 || now() - start <= deadlineMs); turn++) {
    for (const { candidate, runs, times } of timed) {
      const ms = await time(candidate, runs);
      times.push(ms / runs);
      if (clockStepMs > 0) clockError = Math.max(clockError, clockStepMs / Math.max(ms, clockStepMs));
    }
  }
  return { times: new Map(timed.map(({ candidate, times }) => [candidate.name, times])), clockError };
}
