/**
 * Finds out how much memory a GPU really holds, because no API reports it and drivers promise too much. Direct3D 12
 * moves idle memory out instead of refusing an allocation, and Metal provides memory only when it is used. So submissions
 * that need all of it must succeed, and be as fast as reading a part. Pure: tests pass fakes of GPUs.
 */
import type { Bytes } from '../../src/contract/ids.ts';
import { type Clock, LEAST_CLOCK_STEPS } from './clock-step.ts';

/** Memory of a GPU that is allocated piece by piece, and can be read at once. */
export interface ProbedMemory extends Clock {
  /** Allocates another piece. @returns false if that is refused */
  allocate(bytes: Bytes): Promise<boolean>;
  /** Does once what only the first read takes time for, such as compiling its kernel. Reads no piece. */
  prepare(): Promise<void>;
  /**
   * Reads the first piece, and waits for it.
   * @returns false if the GPU reported that it has too little memory
   */
  readFirst(times: number): Promise<boolean>;
  /**
   * Reads all pieces, so that the GPU needs all of them at once, and waits for it.
   * @returns false if the GPU reported that it has too little memory
   */
  readAll(): Promise<boolean>;
}

/** Repetitions, besides one, that a rate is computed from. */
const RATE_REPEATS = 8;
/**
 * How much higher than its lower bound a rate may be. A laptop GPU of up to 120 GB/s then stays below the 150 GB/s that
 * are taken for a card, whatever disturbs a measurement.
 */
const MAX_OVER_BOUND = 1.25;
/** Milliseconds that something takes at least. */
const LEAST_MS = 0.1;
/** With a coarse clock, repetitions end after so many submissions, even if it has not moved. */
const MAX_SUBMISSIONS = 2000;
/** Reading all memory may take this many times as long as the first piece's rate says. */
const SLOW_FACTOR = 2;
/** Milliseconds that may always pass: submissions, and programs that use the GPU for a moment. */
const SLACK_MS = 20;
/** The first read of a piece also provides its memory. It may take this many times as long, per byte, as the first piece's. */
const SLOW_FIRST_FACTOR = 4;
/** Milliseconds that the first read of a step may always take. */
const FIRST_SLACK_MS = 150;
/** How often a read that was slow is repeated before it counts. */
const ATTEMPTS = 3;
/** The next amount to try, relative to what was found. All of it is read each time, so steps grow with it. */
const STEP = 1.25;

/**
 * The rate at which the first piece is read, in bytes per second.
 * @param firstBytes of the first piece, which was read before
 * @returns undefined if the read failed
 */
export const readRateOf = (memory: ProbedMemory, firstBytes: Bytes): Promise<number | undefined> =>
  rateOf(firstBytes, (times) => memory.readFirst(times), memory);

/**
 * The rate of something that a GPU does several times in one submission, in bytes per second. It is computed from the
 * difference of many times and one, so that a submission's own time does not count. A disturbance of the many makes it
 * too low. One of the single run makes the difference too small and the rate too high, without a limit. But the time of
 * the many can only be too long, so it gives a lower bound of the rate, and the result is at most 1.25 times that. A
 * GPU that takes longer for a submission than for the work is thus taken for slower than it is. The many may have taken
 * a step of the clock more than it says. If they took only a few steps, another measurement lasts several of them, and
 * its rate is a lower bound.
 * @param bytes each time
 * @param run does it, and returns false if it failed. It was done before
 * @returns undefined if it failed
 */
export async function rateOf(
  bytes: Bytes,
  run: (times: number) => Promise<boolean>,
  clock: Clock,
): Promise<number | undefined> {
  const readings: [once: number, many: number][] = [];
  for (let attempt = 0; attempt < 2; attempt++) {
    const once = await timed(clock, () => run(1));
    const many = await timed(clock, () => run(1 + RATE_REPEATS));
    if (once === undefined || many === undefined) return undefined;
    readings.push([once, many]);
  }
  const once = Math.min(...readings.map(([ms]) => ms));
  const many = Math.min(...readings.map(([, ms]) => ms));
  const { clockStepMs } = clock;
  if (many < LEAST_CLOCK_STEPS * clockStepMs) return rateByCoarseClock(bytes, run, clock);
  const bound = ((1 + RATE_REPEATS) * bytes * 1000) / Math.max(many + clockStepMs, LEAST_MS);
  const most = MAX_OVER_BOUND * bound;
  return many > once ? Math.min((RATE_REPEATS * bytes * 1000) / (many - once), most) : most;
}

/**
 * The rate over several steps of a clock, which is never too high: up to one step more has passed than the clock says.
 * @returns bytes per second; undefined if it failed
 */
async function rateByCoarseClock(
  bytes: Bytes,
  run: (times: number) => Promise<boolean>,
  clock: Clock,
): Promise<number | undefined> {
  const submit = (): Promise<boolean> => run(1 + RATE_REPEATS);
  const begun = clock.now();
  for (let waited = 0; clock.now() === begun && waited < MAX_SUBMISSIONS; waited++) {
    if (!(await submit())) return undefined;
  }
  const startedAt = clock.now();
  const leastMs = LEAST_CLOCK_STEPS * clock.clockStepMs;
  let count = 0;
  while (clock.now() - startedAt < leastMs && count < MAX_SUBMISSIONS) {
    if (!(await submit())) return undefined;
    count++;
  }
  return ((1 + RATE_REPEATS) * count * bytes * 1000) / (clock.now() - startedAt + clock.clockStepMs);
}

/**
 * Whether the GPU holds all pieces at once: reading them succeeds, and is not much slower than reading the first.
 * @param bytes of all pieces, which were read before
 * @param rate of the first piece: {@link readRateOf}
 */
export async function holdsAll(memory: ProbedMemory, bytes: Bytes, rate: number): Promise<boolean> {
  const limit = (SLOW_FACTOR * bytes * 1000) / rate + SLACK_MS;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const ms = await timed(memory, () => memory.readAll());
    if (ms === undefined) return false;
    if (ms <= limit) return true;
  }
  return false;
}

export interface FindMemoryOptions {
  memory: ProbedMemory;
  pieceBytes: Bytes;
  /** The most bytes to allocate, including the first piece. */
  limit: Bytes;
  /** Bytes that were good before: they are tried at once. */
  known?: Bytes;
  /** Called with the total before more memory is used than ever before on this adapter. */
  beforeStep?: (bytes: Bytes) => Promise<void>;
}

/** A first piece that was measured. */
export interface FirstPiece {
  bytes: Bytes;
  /** Bytes per second. */
  rate: number;
  /** Milliseconds of its first read. */
  firstReadMs: number;
}

/**
 * Allocates and measures a first piece.
 * @returns undefined if it is refused or cannot be read
 */
export async function measureFirstPiece(memory: ProbedMemory, bytes: Bytes): Promise<FirstPiece | undefined> {
  if (!(await memory.allocate(bytes))) return undefined;
  await memory.prepare();
  const firstReadMs = await timed(memory, () => memory.readFirst(1));
  if (firstReadMs === undefined) return undefined;
  const rate = await readRateOf(memory, bytes);
  return rate === undefined ? undefined : { bytes, rate, firstReadMs };
}

/**
 * Allocates more memory step by step, and stops where an allocation is refused, a read fails, or it gets slow.
 * @param first the piece that is allocated already
 * @returns bytes that can be used together, at most the limit
 */
export async function findMemory(first: FirstPiece, options: FindMemoryOptions): Promise<Bytes> {
  const { memory, pieceBytes, limit, known = 0, beforeStep } = options;
  let good = Math.min(first.bytes, limit);
  while (good < limit) {
    const target = Math.min(limit, Math.max(known, good * STEP, good + pieceBytes));
    if (target > known) await beforeStep?.(target);
    let allocated = good;
    let refused = false;
    while (allocated < target && !refused) {
      const bytes = Math.ceil(Math.min(pieceBytes, target - allocated) / 4) * 4;
      refused = !(await memory.allocate(bytes));
      if (!refused) allocated += bytes;
    }
    if (allocated === good || !(await holdsMore(memory, first, good, allocated))) break;
    good = allocated;
    if (refused) break;
  }
  return Math.min(good, limit);
}

/** Whether the GPU holds `bytes`, of which it has been shown to hold `before`. */
async function holdsMore(memory: ProbedMemory, first: FirstPiece, before: Bytes, bytes: Bytes): Promise<boolean> {
  const ms = await timed(memory, () => memory.readAll());
  if (ms === undefined) return false;
  // A system that has to move memory of other programs out shows it here, and then never again.
  const expectedMs = (first.firstReadMs / first.bytes) * (bytes - before) + (before * 1000) / first.rate;
  if (ms > SLOW_FIRST_FACTOR * expectedMs + FIRST_SLACK_MS) return false;
  return holdsAll(memory, bytes, first.rate);
}

/** Milliseconds of a read; undefined if it failed. */
async function timed(clock: Pick<Clock, 'now'>, run: () => Promise<boolean>): Promise<number | undefined> {
  const start = clock.now();
  return (await run()) ? clock.now() - start : undefined;
}
