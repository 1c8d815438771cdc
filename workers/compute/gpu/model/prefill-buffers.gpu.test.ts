import { afterEach, expect, it, vi } from 'vitest';
import type { ModelConfig } from '../../../../src/contract/import-api.ts';
import { scopesReport } from '../scope-testing.ts';
import { getTestDevice } from '../testing.ts';
import { prefillBuffersBytes } from './buffers.ts';
import { PrefillBuffers } from './prefill-buffers.ts';

const CONFIG = { embeddingLength: 64, expertsPerToken: 2 } as ModelConfig;
/** Residual and accumulator with a stride of 256 floats, two routing weights, two expert indices. */
const TOKEN_BYTES = 2 * 1024 + 16;

afterEach(() => vi.restoreAllMocks());

it('allocates buffers for each chunk, counts their bytes, and releases them', async () => {
  const prefillBuffers = new PrefillBuffers(await getTestDevice(), CONFIG);
  const chunks = await prefillBuffers.allocate([512, 512, 276]);
  for (const kind of ['residual', 'accumulator'] as const) {
    expect(chunks.map((chunk) => chunk[kind].slice.size)).toEqual([512, 512, 276].map((count) => count * 1024));
  }
  expect(prefillBuffers.bytes).toBe(1300 * TOKEN_BYTES);
  expect(prefillBuffers.bytes).toBe(prefillBuffersBytes(CONFIG, { maxTokens: 512, context: 1300 }));
  const destroyed = vi.spyOn(GPUBuffer.prototype, 'destroy');
  prefillBuffers.release();
  expect(new Set(destroyed.mock.contexts)).toEqual(
    new Set(
      chunks.flatMap((chunk) =>
        [chunk.residual.slice, chunk.accumulator.slice, chunk.routingWeights, chunk.selectedExperts].map(
          ({ buffer }) => buffer,
        ),
      ),
    ),
  );
  expect(prefillBuffers.bytes).toBe(0);
});

it('needs no bytes if the longest prompt fits into one chunk', () => {
  expect(prefillBuffersBytes(CONFIG, { maxTokens: 512, context: 512 })).toBe(0);
});

it.each([
  ['gpu-out-of-memory', () => scopesReport(new GPUOutOfMemoryError('a test'))],
  ['internal', () => scopesReport(null, new GPUValidationError('a test'))],
])('throws %s if WebGPU reports it, and releases what was allocated', async (code, report) => {
  const prefillBuffers = new PrefillBuffers(await getTestDevice(), CONFIG);
  report();
  const destroyed = vi.spyOn(GPUBuffer.prototype, 'destroy');
  await expect(prefillBuffers.allocate([512, 512])).rejects.toMatchObject({ code });
  expect(destroyed).toHaveBeenCalledTimes(8);
  expect(prefillBuffers.bytes).toBe(0);
});
