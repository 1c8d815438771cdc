import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Dispatch } from '../dispatch.ts';
import { decideVariant } from './decide.ts';
import { measureInTurns } from './measure-variants.ts';

/** A device on which a submission takes as many milliseconds as its dispatches have workgroups, divided by a speed. */
class TimedDevice {
  clock = 0;
  speed = 1;
  readonly order: string[] = [];
  #work = 0;

  createCommandEncoder({ label }: { label: string }) {
    this.order.push(label);
    this.#work = 0;
    const add = (x: number) => {
      this.#work += x;
    };
    const pass = { setPipeline() {}, setBindGroup() {}, dispatchWorkgroups: add, end() {} };
    return { beginComputePass: () => pass, finish: () => ({}) };
  }

  queue = {
    submit: () => {
      this.clock += this.#work / this.speed;
    },
    onSubmittedWorkDone: async () => {},
  };
}

const work = (name: string, milliseconds: number) => ({
  name,
  dispatches: [{ workgroups: [milliseconds, 1, 1] } as unknown as Dispatch],
});

/** @param clockStepMs steps to which the clock is rounded down; 0: none */
const measure = (device: TimedDevice, turns: number, deadlineMs: number, clockStepMs = 0, b = 30) =>
  measureInTurns({ pipelines: { device: device as unknown as GPUDevice } }, [work('a', 10), work('b', b)], {
    turns,
    deadlineMs,
    now: () => (clockStepMs ? Math.floor(device.clock / clockStepMs) * clockStepMs : device.clock),
    clockStepMs,
  });

beforeEach(() => void vi.stubGlobal('navigator', { userAgent: 'test' }));
afterEach(() => vi.unstubAllGlobals());

it('measures the candidates in turns, after a first run of each that is not counted', async () => {
  const device = new TimedDevice();
  expect([...(await measure(device, 2, 1000))!.times]).toEqual([
    ['a', [10, 10]],
    ['b', [30, 30]],
  ]);
  expect(device.order).toEqual(['a', 'b', 'a', 'b', 'a', 'b'].map((name) => `measure ${name}`));
});

it('stops at the deadline, with complete turns, of which there is at least one', async () => {
  const device = new TimedDevice();
  expect((await measure(device, 100, 200))!.times.get('b')).toHaveLength(6);
  expect((await measure(new TimedDevice(), 100, -1))!.times.get('b')).toHaveLength(1);
});

it('runs what takes less than a few steps of the clock several times', async () => {
  const device = new TimedDevice();
  device.speed = 100; // 0.1 and 0.3 ms
  const { times } = (await measure(device, 7, 1e6, 1))!;
  for (const [name, ms] of [
    ['a', 0.1],
    ['b', 0.3],
  ] as const) {
    expect(times.get(name)).toHaveLength(7);
    for (const time of times.get(name)!) expect(Math.abs(time / ms - 1)).toBeLessThan(0.25);
  }
});

it('lets no coarse clock decide between equals, but between what differs by half', async () => {
  const decisions = { equal: new Set<string>(), faster: new Set<string>() };
  for (let phase = 0; phase < 1; phase += 0.07) {
    for (const speed of [0.3, 1.4, 10 / 5.5, 7, 90]) {
      for (const [name, b] of [
        ['equal', 10],
        ['faster', 5],
      ] as const) {
        const device = new TimedDevice();
        device.clock = phase;
        device.speed = speed;
        decisions[name].add(decideVariant((await measure(device, 7, 100, 1, b))!, 'a'));
      }
    }
  }
  expect([...decisions.equal]).toEqual(['a']);
  expect([...decisions.faster]).toEqual(['b']);
});

it('measures nothing with a clock that is so coarse that it would take long, or that does not move', async () => {
  const device = new TimedDevice();
  expect(await measure(device, 7, 1e6, 16)).toBeUndefined();
  expect(device.order).toEqual([]);
  device.speed = Number.POSITIVE_INFINITY;
  expect(await measure(device, 7, 1e6, 1)).toBeUndefined();
});
