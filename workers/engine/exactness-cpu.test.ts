/** Holds the CPU backend to float64, in Node: every weight type, layout and scaling of RoPE. */
import { beforeAll, describe, it, vi } from 'vitest';
import { compiledKernels } from '../compute/cpu/testing.ts';
import { EXACTNESS_MODELS, TYPE_MODELS } from './exactness-models-testing.ts';
import { expectNearFloat64, expectPerplexityNearFloat64, PROMPT } from './exactness-testing.ts';
import { engineWith } from './testing.ts';

vi.mock('../compute/cpu/compile-kernels.ts', () => ({ compileKernels: async () => compiledKernels() }));

// Node 20 has no navigator. With one core the engine computes without further workers, which Node does not have.
beforeAll(() => {
  vi.stubGlobal('navigator', { hardwareConcurrency: 1 });
});

describe('the CPU backend agrees with float64', () => {
  it.each(Object.entries(EXACTNESS_MODELS))('%s', async (_name, model) => {
    await expectNearFloat64(await engineWith(model, model), 'cpu');
  });

  it('on the perplexity of a text', async () => {
    await expectPerplexityNearFloat64(await engineWith(TYPE_MODELS['mixed types']), 'cpu', PROMPT.repeat(2));
  });
});
