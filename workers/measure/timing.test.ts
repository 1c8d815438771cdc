import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Dispatch } from '../compute/gpu/dispatch.ts';
import { timeDispatches } from './timing.ts';

beforeEach(() => void vi.stubGlobal('navigator', { userAgent: 'test' }));
afterEach(() => vi.unstubAllGlobals());

it.each([0, 0.1, 1, 16, 100])('takes no call for a faster one because the clock has steps of %d ms', async (step) => {
  for (const callMs of [0.02, 0.3, 30]) {
    let time = 0.7;
    let calls = 0;
    const longest = { calls: 0 };
    const pass = {
      setPipeline() {},
      setBindGroup() {},
      dispatchWorkgroups: () => void calls++,
      end() {},
    };
    const device = {
      createCommandEncoder: () => ({ beginComputePass: () => pass, finish: () => ({}) }),
      queue: {
        submit: () => {
          time += calls * callMs;
          longest.calls = Math.max(longest.calls, calls);
          calls = 0;
        },
        onSubmittedWorkDone: async () => {},
      },
    } as unknown as GPUDevice;
    const now = (): number => (step ? Math.floor(time / step) * step : time);
    const copies = [[{ workgroups: [1, 1, 1] } as unknown as Dispatch]];
    const ms = await timeDispatches(device, copies, { sampleMs: 15, samples: 3, submitMs: 0, clockStepMs: step, now });
    const [least, most] = step < 40 ? [0.75, 1.3] : [0.5, 5];
    expect(ms).toBeGreaterThan(least * callMs);
    expect(ms).toBeLessThan(most * callMs);
    expect(longest.calls * callMs).toBeLessThan(400);
  }
});
