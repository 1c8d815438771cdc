import { afterEach, describe, expect, it, vi } from 'vitest';
import type { ModelConfig } from '../../../src/contract/import-api.ts';
import { KernelModule } from './kernels-module.ts';
import { compiledKernels, fakeWorker, realWorker } from './testing.ts';
import { bestThreadCount, measureThreadCount, mostThreads, tokenCost } from './thread-count.ts';

const MIXTRAL = {
  layerCount: 32,
  embeddingLength: 4096,
  feedForwardLength: 14336,
  headCount: 32,
  kvHeadCount: 8,
  headDim: 128,
  expertCount: 8,
  expertsPerToken: 2,
  vocabularySize: 32000,
} as ModelConfig;

describe('tokenCost', () => {
  it("counts Mixtral's 12.7 billion weights per token and 129 steps", () => {
    const { computeMs, steps } = tokenCost(MIXTRAL, 20e6);
    expect(computeMs * 20e6).toBeCloseTo(2 * 12.75e9, -8);
    expect(steps).toBe(129);
  });
});

describe('bestThreadCount', () => {
  const cost = { computeMs: 10, steps: 30 };

  it('takes all threads if messages cost nothing, and one if they cost more than they save', () => {
    expect(bestThreadCount(cost, 8, 0)).toBe(8);
    expect(bestThreadCount(cost, 8, 1)).toBe(1);
    expect(bestThreadCount(cost, 1, 0)).toBe(1);
  });

  it('weighs one against the other', () => {
    expect(bestThreadCount(cost, 2, 0.16)).toBe(2); // 5 + 4.8 ms against 10
    expect(bestThreadCount(cost, 2, 0.17)).toBe(1); // 5 + 5.1
  });
});

describe('mostThreads', () => {
  it('gives every thread at least a head and four rows', () => {
    expect(mostThreads(MIXTRAL)).toBe(32);
    expect(mostThreads({ ...MIXTRAL, embeddingLength: 16 })).toBe(4);
    expect(mostThreads({ ...MIXTRAL, embeddingLength: 2, feedForwardLength: 2 })).toBe(1);
  });
});

describe('measureThreadCount', () => {
  it('measures nothing for a small model, even if steps cost nothing', async () => {
    // 8 million weights per token, like the built-in model
    const small = { layerCount: 8, embeddingLength: 256, feedForwardLength: 512, headCount: 8, kvHeadCount: 4 };
    const createWorker = () => {
      throw new Error('started a worker');
    };
    const config = { ...MIXTRAL, ...small, headDim: 32, vocabularySize: 4096 };
    expect(await measureThreadCount(compiledKernels(), config, 8, { createWorker, sharesMemory: true })).toBe(1);
  });

  it('does not start a worker for a tiny model', async () => {
    // At 1 GFLOP/s, which any machine exceeds, a token takes less time than the messages to a second thread.
    const small = { layerCount: 2, embeddingLength: 64, feedForwardLength: 64, vocabularySize: 400 };
    const tiny = { ...MIXTRAL, ...small, headCount: 8, kvHeadCount: 2, headDim: 8 };
    const createWorker = () => {
      throw new Error('started a worker');
    };
    expect(await measureThreadCount(compiledKernels(), tiny, 8, { createWorker, sharesMemory: false })).toBe(1);
  });

  it.each([
    ['messages', { createWorker: fakeWorker, sharesMemory: false }],
    ['shared memory', { createWorker: realWorker, sharesMemory: true }],
  ])('uses all cores for Mixtral, with %s', async (_, workers) => {
    expect(await measureThreadCount(compiledKernels(), MIXTRAL, 3, workers)).toBe(3);
  });

  describe('with a coarse clock', () => {
    // 65 million operations and 129 steps per token
    const narrow = { embeddingLength: 256, feedForwardLength: 512, headCount: 8, kvHeadCount: 4, headDim: 32 };
    const config = { ...MIXTRAL, ...narrow, vocabularySize: 4096 };
    const coarse = () => Math.floor(performance.now() / 100) * 100;
    afterEach(() => vi.restoreAllMocks());

    it.each([
      [3, 0.02], // 12.4 ms on one thread, 4.1 + 2.6 on three
      [1, 0.3], // 6.2 + 38.7 on two
    ])('finds that %d threads are best if a step takes %d ms, with a clock of 1 ms', async (threads, stepMs) => {
      let time = 0;
      const now = () => {
        time += 1e-4;
        return Math.floor(time);
      };
      vi.spyOn(KernelModule.prototype, 'matmul').mockImplementation(() => {
        time += 0.4; // 5.2 GFLOP/s
      });
      const createWorker = () => {
        const worker = fakeWorker();
        const { postMessage } = worker;
        worker.postMessage = (message, transfer) => {
          time += stepMs;
          postMessage(message, transfer);
        };
        return worker;
      };
      const workers = { createWorker, sharesMemory: false };
      expect(await measureThreadCount(compiledKernels(), config, 3, workers, now)).toBe(threads);
    });

    it('starts no worker if the clock is too coarse, and takes what is best on a typical machine', async () => {
      const createWorker = () => {
        throw new Error('started a worker');
      };
      const count = (model: ModelConfig, sharesMemory: boolean) =>
        measureThreadCount(compiledKernels(), model, 3, { createWorker, sharesMemory }, coarse);
      expect(await count(MIXTRAL, false)).toBe(3);
      expect(await count(config, false)).toBe(1); // 6.5 ms on one thread, 3.3 + 7.7 on two
      expect(await count(config, true)).toBe(3); // 2.2 + 2.6 ms
    });
  });
});
