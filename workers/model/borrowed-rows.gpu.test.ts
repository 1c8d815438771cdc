import { afterEach, expect, it, vi } from 'vitest';
import type { ModelConfig } from '../../src/contract/import-api.ts';
import { scopesReport } from '../gpu/scope-testing.ts';
import { getTestDevice } from '../gpu/testing.ts';
import { BorrowedRows } from './borrowed-rows.ts';

const CONFIG = { embeddingLength: 64, expertsPerToken: 2 } as ModelConfig;
/** Residual and two experts' outputs in rows of 256 floats, two weights, two choices. */
const ROW_BYTES = 3 * 1024 + 16;

afterEach(() => vi.restoreAllMocks());

it('takes as many buffers as the adapter wants, tells their size, and gives them back', async () => {
  const rows = new BorrowedRows(await getTestDevice(), CONFIG, 512);
  expect(rows.bytesEach).toBe(ROW_BYTES);
  expect(await rows.borrow(0)).toBe(true);
  expect(rows.segments).toEqual([]);
  expect(await rows.borrow(1300)).toBe(true);
  expect(rows.segments.map(({ maxPrompt }) => maxPrompt)).toEqual([512, 512, 276]);
  expect(rows.segments.map(({ residual }) => residual.slice.size)).toEqual([512, 512, 276].map((count) => count * 1024));
  expect(rows.bytes).toBe(1300 * ROW_BYTES);
  rows.giveBack();
  expect(rows.bytes).toBe(0);
});

it('has nothing where one of them finds no memory', async () => {
  const rows = new BorrowedRows(await getTestDevice(), CONFIG, 512);
  const destroyed = vi.spyOn(GPUBuffer.prototype, 'destroy');
  scopesReport(new GPUOutOfMemoryError('a test'));
  expect(await rows.borrow(1024)).toBe(false);
  expect(destroyed).toHaveBeenCalledTimes(8);
  expect([rows.segments, rows.bytes]).toEqual([[], 0]);
});

it('does not hide what is a mistake of ours', async () => {
  const rows = new BorrowedRows(await getTestDevice(), CONFIG, 512);
  scopesReport(null, new GPUValidationError('a test'));
  await expect(rows.borrow(1024)).rejects.toMatchObject({ code: 'internal' });
  expect(rows.bytes).toBe(0);
});
