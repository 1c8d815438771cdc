/** Observing a token, in Node with the CPU backend: against float64, and what is refused. */
import { beforeAll, describe, expect, it, vi } from 'vitest';
import type { AblationOptions, ObserveRequest } from '../../src/contract/engine-api.ts';
import { compiledKernels } from '../compute/cpu/testing.ts';
import { SYNTH_PRESETS } from '../synth/presets.ts';
import { expectObservationNearFloat64, type ObservedModel } from './observe-testing.ts';
import { engineWith } from './testing.ts';

vi.mock('../compute/cpu/compile-kernels.ts', () => ({ compileKernels: async () => compiledKernels() }));

let model: ObservedModel & Awaited<ReturnType<typeof engineWith>>;
beforeAll(async () => {
  // Node 20 has no navigator. With one core the engine computes without further workers, which Node does not have.
  vi.stubGlobal('navigator', { hardwareConcurrency: 1 });
  model = await engineWith(SYNTH_PRESETS.tiny);
  await model.engine.load({ modelId: model.modelId, compute: 'cpu' }, () => {});
});

const input = { kind: 'text' as const, text: 'the first men' };
const observe = (request: Partial<ObserveRequest> = {}) =>
  model.engine.observe({ input, context: 64, token: 3, ...request }, () => {});

describe('observe', () => {
  it.each([
    { token: 0, context: 64 },
    { token: 7, context: 64 },
    { token: 13, context: 8 },
  ])('token $token in windows of $context is what it is in float64', (request) =>
    expectObservationNearFloat64(model, request),
  );

  it('names the token and the one that follows, and predicts the last token of the answer', async () => {
    const { promptTokens } = await model.engine.generate({ input, maxTokens: 1 }, () => {});
    const last = promptTokens.length - 1;
    const { piece, nextPiece, layers } = await observe({ token: last });
    expect(input.text.endsWith(piece)).toBe(true);
    expect(nextPiece).toBeUndefined();
    const answer = await model.engine.generate(
      { input, maxTokens: 1, sampling: { temperature: 0 }, ignoreEos: true },
      () => {},
    );
    expect(layers.at(-1)!.top[0].id).toBe(answer.tokens[0].id);
    expect(layers.at(-1)!.next).toBeUndefined();
  });

  it('follows the options of the router', async () => {
    const ablation: AblationOptions = {
      banned: [{ layer: 0, expert: (await observe()).layers[0].selectedExperts[0] }],
    };
    const { layers } = await observe({ ablation });
    expect(layers[0].selectedExperts).not.toContain(ablation.banned![0].expert);
    expect(layers[0].weights.reduce((sum, weight) => sum + weight)).toBeCloseTo(1, 5);
    expect((await observe({ ablation: { expertsUsed: 1 } })).layers[1].weights[0]).toBe(1);
  });

  it('refuses a token that does not exist, and too many predictions', async () => {
    await expect(observe({ token: 1e6 })).rejects.toMatchObject({ code: 'bad-request', message: /There is no token/ });
    await expect(observe({ token: -1 })).rejects.toMatchObject({ code: 'bad-request' });
    await expect(observe({ token: 0.5 })).rejects.toMatchObject({ code: 'bad-request' });
    await expect(observe({ top: 21 })).rejects.toMatchObject({ code: 'bad-request' });
  });

  it('ends when it is stopped', async () => {
    const running = model.engine.observe({ input, context: 64, token: 3 }, () => void model.engine.stop());
    await expect(running).rejects.toMatchObject({ code: 'aborted' });
  });
});
