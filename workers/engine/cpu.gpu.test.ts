/** The engine on the CPU, with real workers. */
import { beforeAll, describe, expect, it } from 'vitest';
import builtinUrl from '../../public/models/builtin.gguf?url';
import { LOGPROB_TOLERANCE } from '../reference/tolerance.ts';
import type { Engine } from './engine.ts';
import { TYPE_MODELS } from './exactness-models-testing.ts';
import { greedy } from './exactness-testing.ts';
import { engineWith, engineWithFile } from './testing.ts';

it('answers with several workers as with one', async () => {
  const { engine, modelId } = await engineWith(TYPE_MODELS.Q4_K);
  const loaded = await engine.load({ modelId, compute: 'cpu', threads: 1 }, () => {});
  expect(loaded.compute).toEqual({ kind: 'cpu', reason: 'requested', threads: 1 });
  const expected = await greedy(engine);
  const three = await engine.load({ modelId, compute: 'cpu', threads: 3 }, () => {});
  expect(three.compute.threads).toBe(3);
  const actual = await greedy(engine);
  expect(actual.tokens).toEqual(expected.tokens);
  const gpu = await engine.load({ modelId, compute: 'gpu' }, () => {});
  expect(gpu.compute.kind).toBe('gpu');
  const onGpu = await greedy(engine);
  expect(onGpu.tokens.map(({ id }) => id)).toEqual(expected.tokens.map(({ id }) => id));
  await engine.unload();
});

describe('the built-in model on both backends', () => {
  let engine: Engine;
  let modelId: string;

  beforeAll(async () => {
    ({ engine, modelId } = await engineWithFile(new Uint8Array(await (await fetch(builtinUrl)).arrayBuffer())));
  });

  const onBoth = async <T>(work: () => Promise<T>): Promise<[gpu: T, cpu: T]> => {
    await engine.load({ modelId, compute: 'gpu' }, () => {});
    const gpu = await work();
    await engine.load({ modelId, compute: 'cpu' }, () => {});
    return [gpu, await work()];
  };

  it('has the same 200 greedy tokens and log-probabilities', async () => {
    const [gpu, cpu] = await onBoth(() =>
      engine.generate(
        {
          input: { kind: 'text', text: 'Once upon a time' },
          maxTokens: 200,
          sampling: { temperature: 0 },
          ignoreEos: true,
          topLogprobs: 5,
        },
        () => {},
      ),
    );
    expect(cpu.text).toBe(gpu.text);
    let worst = 0;
    for (const [step, { top }] of gpu.tokens.entries()) {
      const other = new Map(cpu.tokens[step].top.map(({ id, logprob }) => [id, logprob]));
      // The fifth may swap with the sixth if they are equally likely.
      const last = cpu.tokens[step].top[4].logprob;
      for (const { id, logprob } of top) worst = Math.max(worst, Math.abs(logprob - (other.get(id) ?? last)));
    }
    expect(worst).toBeLessThan(LOGPROB_TOLERANCE);
  });

  it('has the same perplexity within 0.1 %', async () => {
    const text = 'There was once a miller who had three sons, and when he died he left them his mill. '.repeat(3);
    const [gpu, cpu] = await onBoth(() => engine.score({ input: { kind: 'text', text }, context: 256 }, () => {}));
    expect(Math.abs(cpu.perplexity / gpu.perplexity - 1)).toBeLessThan(0.001);
  });
});
