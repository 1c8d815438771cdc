import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Dispatch } from '../dispatch.ts';
import { measureInTurns } from './measure-variants.ts';

/** A device on which a submission takes as many milliseconds as its dispatches have workgroups. */
class TimedDevice {
  clock = 0;
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
      this.clock += this.#work;
    },
    onSubmittedWorkDone: async () => {},
  };
}

const work = (name: string, milliseconds: number) => ({
  name,
  dispatches: [{ workgroups: [milliseconds, 1, 1] } as unknown as Dispatch],
});

const measure = (device: TimedDevice, turns: number, deadlineMs: number) =>
  measureInTurns({ pipelines: { device: device as unknown as GPUDevice } }, [work('a', 10), work('b', 30)], {
    turns,
    deadlineMs,
    now: () => device.clock,
  });

beforeEach(() => void vi.stubGlobal('navigator', { userAgent: 'test' }));
afterEach(() => vi.unstubAllGlobals());

it('measures the candidates in turns, and not the first turn', async () => {
  const device = new TimedDevice();
  expect([...(await measure(device, 2, 1000))]).toEqual([
    ['a', [10, 10]],
    ['b', [30, 30]],
  ]);
  expect(device.order).toEqual(['a', 'b', 'a', 'b', 'a', 'b'].map((name) => `measure ${name}`));
});

it('stops at the deadline, with complete turns, of which there is at least one', async () => {
  const device = new TimedDevice();
  expect((await measure(device, 100, 200)).get('b')).toHaveLength(5);
  expect((await measure(new TimedDevice(), 100, 0)).get('b')).toHaveLength(1);
});
