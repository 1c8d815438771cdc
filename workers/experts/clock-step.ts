/** How exact a clock is. Browsers round `performance.now()`: to 0.005 ms at best, to 100 ms at worst. */

/** What times are read from. */
export interface Clock {
  /** Milliseconds. */
  now(): number;
  /** Milliseconds by which it advances: {@link clockStepOf}. */
  readonly clockStepMs: number;
}

/** A clock that does not move is taken for one with steps of so many milliseconds. */
const MOST_STEP_MS = 100;
/** A clock with steps of 1 ms moves within as many readings. With longer steps it may seem to stand still. */
const MAX_READINGS = 100_000;
/** The shortest of so many steps counts: the thread may have been interrupted. */
const STEPS = 3;
/** How many steps of a clock a measured time needs, so that the first and the last one matter little. */
export const LEAST_CLOCK_STEPS = 5;

/**
 * Measures the steps in which a clock advances. Takes some milliseconds at most.
 * @param now milliseconds; default: `performance.now`
 * @returns milliseconds; never too few
 */
export function clockStepOf(now: () => number = () => performance.now()): number {
  let step = MOST_STEP_MS;
  let before = now();
  let steps = 0;
  for (let reading = 0; reading < MAX_READINGS && steps < STEPS; reading++) {
    const at = now();
    if (at === before) continue;
    step = Math.min(step, at - before);
    before = at;
    steps++;
  }
  return step;
}

/**
 * Milliseconds of each of several samples. What takes less than a few steps of the clock runs several times per sample.
 * @param run was called before, so that nothing is loaded or compiled for the first time
 */
export async function timeSamples(count: number, { now, clockStepMs }: Clock, run: () => unknown): Promise<number[]> {
  const samples: number[] = [];
  for (let sample = 0; sample < count; sample++) {
    const startedAt = now();
    let runs = 0;
    let ms = 0;
    do {
      await run();
      runs++;
      ms = now() - startedAt;
    } while (ms < LEAST_CLOCK_STEPS * clockStepMs);
    samples.push(ms / runs);
  }
  return samples;
}
