/** The engine on the CPU, with real workers. */
import { expect, it } from 'vitest';
import { uniformTypes } from '../synth/synth.ts';
import { greedy } from './exactness-testing.ts';
import { engineWith } from './testing.ts';

it('answers with several workers as with one', async () => {
  const { engine, modelId } = await engineWith({
    layers: 2,
    embeddingLength: 256,
    feedForwardLength: 512,
    headCount: 8,
    kvHeadCount: 2,
    expertCount: 8,
    expertsPerToken: 2,
    vocabularySize: 512,
    contextLength: 256,
    seed: 11,
    layout: 'merged',
    types: uniformTypes('Q4_K'),
  });
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
