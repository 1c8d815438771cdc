import { afterEach, expect, it, vi } from 'vitest';
import type { ModelConfig } from '../../src/contract/import-api.ts';
import { scopesReport } from '../compute/gpu/scope-testing.ts';
import { getTestDevice } from '../compute/gpu/testing.ts';
import { prefillBuffersBytes } from './buffers.ts';
import { PrefillBuffers } from './prefill-buffers.ts';

const CONFIG = { embeddingLength: 64, expertsPerToken: 2 } as ModelConfig;
/** Residual and accumulator in rows of 256 floats, two weights, two choices. */
const ROW_BYTES = 2 * 1024 + 16;

afterEach(() => vi.restoreAllMocks());

it('makes buffers for each chunk, tells their size, and releases them', async () => {
  const rows = new PrefillBuffers(await getTestDevice(), CONFIG);
  const chunks = await rows.allocate([512, 512, 276]);
  for (const kind of ['residual', 'accumulator'] as const) {
    expect(chunks.map((chunk) => chunk[kind].slice.size)).toEqual([512, 512, 276].map((count) => count * 1024));
  }
  expect(rows.bytes).toBe(1300 * ROW_BYTES);
  expect(rows.bytes).toBe(prefillBuffersBytes(CONFIG, { maxTokens: 512, context: 1300 }));
  const destroyed = vi.spyOn(GPUBuffer.prototype, 'destroy');
  rows.release();
  expect(new Set(destroyed.mock.contexts)).toEqual(
    new Set(
      chunks.flatMap((chunk) =>
        [chunk.residual.slice, chunk.accumulator.slice, chunk.routingWeights, chunk.selectedExperts].map(
          ({ buffer }) => buffer,
        ),
      ),
    ),
  );
  expect(rows.bytes).toBe(0);
});

it('counts none where the longest prompt is a single chunk', () => {
  expect(prefillBuffersBytes(CONFIG, { maxTokens: 512, context: 512 })).toBe(0);
});

it.each([
  ['gpu-out-of-memory', () => scopesReport(new GPUOutOfMemoryError('a test'))],
  ['internal', () => scopesReport(null, new GPUValidationError('a test'))],
])('says %s where that is reported, and releases what is there', async (code, report) => {
  const rows = new PrefillBuffers(await getTestDevice(), CONFIG);
  report();
  await expect(rows.allocate([512, 512])).rejects.toMatchObject({ code });
  const destroyed = vi.spyOn(GPUBuffer.prototype, 'destroy');
  rows.release();
  expect(destroyed).toHaveBeenCalledTimes(8);
  expect(rows.bytes).toBe(0);
});
