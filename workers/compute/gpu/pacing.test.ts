import { describe, expect, it, vi } from 'vitest';
import type { Dispatch } from './dispatch.ts';
import { encodePaced, Pacing, submitPaced } from './pacing.ts';

/** A queue on whose clock a submission takes as long as its dispatches cost, at `rate` per millisecond. */
class FakeQueue {
  clock = 0;
  /** How many dispatches each submission has. */
  readonly submissions: number[] = [];
  #busyUntil = 0;
  #waiting: { at: number; resolve: () => void }[] = [];

  constructor(public rate: number) {}

  submit([{ costs }]: { costs: number[] }[]): void {
    this.submissions.push(costs.length);
    const ms = costs.reduce((sum, cost) => sum + cost, 0) / this.rate;
    this.#busyUntil = Math.max(this.clock, this.#busyUntil) + ms;
  }

  onSubmittedWorkDone(): Promise<void> {
    const at = this.#busyUntil;
    return new Promise((resolve) => {
      this.#waiting.push({ at, resolve });
    });
  }

  /** Lets the GPU finish everything. @param isBusy whether the thread hears of it only when all is done */
  async finish(isBusy = false): Promise<void> {
    await settle(); // microtasks that ask for the end
    const waiting = this.#waiting.sort((a, b) => a.at - b.at);
    this.#waiting = [];
    for (const { at, resolve } of waiting) {
      this.clock = isBusy ? this.#busyUntil : at;
      resolve();
      await settle();
    }
  }
}

/** Not a timer, which takes a millisecond: some tests wait thousands of times. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

function contextOn(queue: FakeQueue, pacing: Pacing | undefined) {
  const device = {
    queue,
    createCommandEncoder() {
      const costs: number[] = [];
      let pending = 0;
      return {
        beginComputePass: () => ({
          setPipeline: () => {},
          setBindGroup: (_: number, cost: number) => {
            pending = cost;
          },
          dispatchWorkgroups: () => void costs.push(pending),
          end: () => {},
        }),
        finish: () => ({ costs }),
      };
    },
  };
  return { pipelines: { device: device as unknown as GPUDevice }, pacing };
}

const dispatches = (...costs: number[]): Dispatch[] =>
  costs.map(
    (cost) => ({ label: '', pipeline: {}, bindGroup: cost, workgroups: [1, 1, 1], cost }) as unknown as Dispatch,
  );

describe('pacing', () => {
  it('cuts what a slow GPU gets into submissions of a quarter of a second', async () => {
    const queue = new FakeQueue(10);
    const ctx = contextOn(queue, new Pacing({ rate: 10, now: () => queue.clock }));
    submitPaced(ctx, dispatches(...Array.from({ length: 100 }, () => 500))); // 50 ms each
    expect(queue.submissions).toEqual(Array.from({ length: 20 }, () => 5));
    await queue.finish();
    submitPaced(ctx, dispatches(500, 500, 500, 500, 500, 500));
    expect(queue.submissions.slice(20)).toEqual([5, 1]);
  });

  it('learns that a GPU is fast, and gives it everything at once', async () => {
    const queue = new FakeQueue(1000);
    const ctx = contextOn(queue, new Pacing({ rate: 10, now: () => queue.clock }));
    const token = dispatches(...Array.from({ length: 100 }, () => 500)); // 50 ms in all
    const counts: number[] = [];
    for (let i = 0; i < 4; i++) {
      const before = queue.submissions.length;
      submitPaced(ctx, token);
      counts.push(queue.submissions.length - before);
      await queue.finish();
    }
    expect(counts).toEqual([20, 1, 1, 1]);
  });

  it('learns that a GPU has become slow, though submissions wait for each other', async () => {
    const queue = new FakeQueue(10);
    const ctx = contextOn(queue, new Pacing({ rate: 1000, now: () => queue.clock }));
    const work = dispatches(...Array.from({ length: 20 }, () => 2500));
    for (let i = 0; i < 3; i++) submitPaced(ctx, work); // in flight together, 5 s each
    expect(queue.submissions).toEqual([20, 20, 20]);
    await queue.finish();
    submitPaced(ctx, work);
    expect(queue.submissions.slice(3).length).toBeGreaterThanOrEqual(8);
  });

  it('asks for no end of work that is too little to learn from', async () => {
    const queue = new FakeQueue(10);
    const ctx = contextOn(queue, new Pacing({ rate: 10, now: () => queue.clock }));
    const ends = vi.spyOn(queue, 'onSubmittedWorkDone').mockRejectedValue(new Error('lost'));
    submitPaced(ctx, dispatches(200));
    encodePaced(ctx, dispatches(200));
    await settle();
    expect(ends).not.toHaveBeenCalled();
    submitPaced(ctx, dispatches(300));
    await settle(); // the device may be lost before the end
    expect(ends).toHaveBeenCalledTimes(1);
  });

  it('learns nothing from work that the GPU has not done, but what it does next starts after it', async () => {
    const queue = new FakeQueue(Number.POSITIVE_INFINITY);
    const pacing = new Pacing({ rate: 10, now: () => queue.clock });
    const ctx = contextOn(queue, pacing);
    const run = (isWhole: boolean): void => {
      const encoder = encodePaced(ctx, dispatches(500, 500, 500, 500, 500, 500), '', async () => isWhole);
      queue.submit([encoder.finish() as unknown as { costs: number[] }]);
    };
    for (let i = 0; i < 3; i++) run(false);
    await queue.finish();
    expect(pacing.submissionCost).toBe(2500);
    queue.rate = 10;
    run(false);
    await settle();
    run(true); // waits for the one before
    await queue.finish();
    expect(pacing.submissionCost).toBeCloseTo(2500, 6);
    queue.rate = 20;
    run(true);
    await queue.finish();
    expect(pacing.submissionCost).toBeGreaterThan(3000);
  });

  it.each([
    ['tells the ends of submissions apart that are queued in one go', false],
    ['learns no speed from ends that a busy thread hears of at once', true],
  ])('%s', async (_, isBusy) => {
    const queue = new FakeQueue(10);
    const pacing = new Pacing({ rate: 10, now: () => queue.clock });
    const ctx = contextOn(queue, pacing);
    for (let i = 0; i < 8; i++) submitPaced(ctx, dispatches(2000)); // slices of experts
    submitPaced(ctx, dispatches(...Array.from({ length: 50 }, () => 500)));
    expect(queue.submissions).toHaveLength(8 + 10);
    await queue.finish(isBusy);
    expect(queue.clock).toBe(1600 + 2500);
    expect(pacing.submissionCost).toBeCloseTo(2500, 6);
  });

  it.each([1, 16, 100 / 6, 100])(
    'takes no GPU for a faster one because the clock has steps of %d ms, and still learns',
    async (step) => {
      for (let phase = 0; phase < 1; phase += 0.1) {
        const queue = new FakeQueue(10);
        const now = (): number => Math.floor((queue.clock + phase * step) / step) * step;
        const pacing = new Pacing({ rate: 10, now, clockStepMs: step });
        const ctx = contextOn(queue, pacing);
        const token = dispatches(500, 100); // 60 ms
        for (let i = 0; i < 40; i++) {
          submitPaced(ctx, token);
          await queue.finish();
          expect(pacing.submissionCost).toBeLessThan(1.25 * 2500);
          queue.clock += 17; // what the thread does in between
        }
        expect(pacing.submissionCost).toBeGreaterThan(0.4 * 2500);
        queue.rate = 20;
        for (let i = 0; i < 80; i++) {
          submitPaced(ctx, token);
          await queue.finish();
          queue.clock += 17;
        }
        expect(pacing.submissionCost).toBeGreaterThan(0.4 * 5000);
      }
    },
  );

  it('returns the last part to a caller that adds copies to it, and cuts nothing where it is absent', () => {
    const queue = new FakeQueue(10);
    encodePaced(contextOn(queue, new Pacing({ rate: 10, now: () => queue.clock })), dispatches(2000, 2000, 2000));
    expect(queue.submissions).toEqual([1, 1]);
    submitPaced(contextOn(queue, undefined), dispatches(9000, 9000));
    expect(queue.submissions).toEqual([1, 1, 2]);
  });
});
