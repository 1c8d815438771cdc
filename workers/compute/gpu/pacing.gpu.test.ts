/** A slow GPU gets the same work in more submissions, and computes the same tokens. */
import { afterEach, expect, it, vi } from 'vitest';
import { engineWith, sharedGpu } from '../../engine/testing.ts';
import { AdapterMemory } from '../../store/adapter-memory.ts';
import { SYNTH_PRESETS } from '../../synth/presets.ts';
import { Pacing } from './pacing.ts';

const { adjust } = sharedGpu;
afterEach(() => {
  sharedGpu.adjust = adjust;
  vi.restoreAllMocks();
});

const TEXT = 'the first men of the sea and the last of the long road '.repeat(4);

it('cuts prompts and tokens by the time that they take, without changing a bit', async () => {
  const { engine, modelId } = await engineWith({ ...SYNTH_PRESETS.tiny, layers: 3, seed: 5 });
  let clock = 0;
  let dispatchMs = 0;
  const dispatch = GPUComputePassEncoder.prototype.dispatchWorkgroups;
  vi.spyOn(GPUComputePassEncoder.prototype, 'dispatchWorkgroups').mockImplementation(function (
    this: GPUComputePassEncoder,
    ...grid
  ) {
    clock += dispatchMs;
    return dispatch.apply(this, grid);
  });
  const submit = vi.spyOn(GPUQueue.prototype, 'submit');

  /** @param rate that is assumed at first */
  const answer = async (ms: number, rate?: number) => {
    dispatchMs = ms;
    const pacing = rate === undefined ? undefined : new Pacing({ rate, now: () => clock });
    const memory = new AdapterMemory(`paced ${ms}`, 'mixtab-test-adapters');
    vi.spyOn(memory, 'get').mockResolvedValue(undefined);
    vi.spyOn(memory, 'set').mockResolvedValue();
    sharedGpu.adjust = (gpu) => ({ ...gpu, memory, ...(pacing && { pacing }) });
    await engine.load({ modelId, context: 256 }, () => {});
    submit.mockClear();
    vi.mocked(GPUComputePassEncoder.prototype.dispatchWorkgroups).mockClear();
    const { tokens, promptTokens } = await engine.generate(
      { input: { kind: 'text', text: TEXT }, maxTokens: 6, sampling: { temperature: 0 }, ignoreEos: true },
      () => {},
    );
    const submissions = submit.mock.calls.length;
    const dispatches = vi.mocked(GPUComputePassEncoder.prototype.dispatchWorkgroups).mock.calls.length;
    await engine.unload();
    return { tokens: tokens.map(({ id, logprob }) => [id, logprob]), promptTokens, submissions, dispatches };
  };
  const whole = await answer(0);
  expect(whole.promptTokens.length).toBeGreaterThan(64); // several tiles of inputs
  const fast = await answer(1e-6, 1e9);
  expect(fast).toEqual(whole);
  const slow = await answer(5000, 100);
  expect(slow.tokens).toEqual(whole.tokens);
  // Matrices are cut by rows, and lists of dispatches into submissions.
  expect(slow.dispatches).toBeGreaterThan(1.5 * whole.dispatches);
  expect(slow.submissions).toBeGreaterThan(3 * whole.submissions);
});
