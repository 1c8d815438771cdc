/** Node has no locks, as browsers have none over plain http. */
import { afterEach, expect, it, vi } from 'vitest';
import { MemoryStore } from '../store/memory-store.ts';
import { ImportService } from './import-service.ts';

afterEach(() => {
  vi.unstubAllGlobals();
});

it('over plain http an import says what is missing and what helps', async () => {
  vi.stubGlobal('navigator', {});
  const service = new ImportService(new MemoryStore());
  const source = { kind: 'file' as const, files: [] };
  for (const call of [() => service.import(source, () => {}), () => service.repair('a', () => {})]) {
    await expect(call()).rejects.toMatchObject({
      code: 'insecure-context',
      remedy: expect.stringContaining('https'),
    });
  }
  expect(await service.list()).toEqual([]);
});
