/** What a failed write becomes: an error that says whether the disk is full. */
import { afterEach, expect, it, vi } from 'vitest';
import { MixtabError } from '../../src/contract/errors.ts';
import { BlobValues } from './blob-values.ts';
import { storageError } from './storage-errors.ts';

const browserSays = (freeBytes: number): void =>
  void vi.stubGlobal('navigator', { storage: { estimate: async () => ({ usage: 1e9, quota: 1e9 + freeBytes }) } });

afterEach(() => void vi.unstubAllGlobals());

const FULL_WHILE_WRITING_BLOBS = new DOMException('Failed to write blobs (IOError)', 'DataError');

it('names a full disk although the browser reports free space, and does not repeat that report', async () => {
  browserSays(9e9);
  const error = await storageError(FULL_WHILE_WRITING_BLOBS, 16e6);
  expect(error).toMatchObject({
    code: 'storage-full',
    message: "The browser's storage is full: 16 MB more were needed.",
  });
});

it('names no size if that of what was written is not known', async () => {
  browserSays(9e9);
  const { message } = await storageError(FULL_WHILE_WRITING_BLOBS, 0);
  expect(message).toBe("The browser's storage is full.");
});

it('asks what is free about an error without a cause', async () => {
  browserSays(4e6);
  const ended = new DOMException('The transaction ended.', 'AbortError');
  expect(await storageError(ended, 16e6)).toMatchObject({
    code: 'storage-full',
    message: expect.stringContaining('16 MB more were needed, and the browser reports 4.0 MB free'),
  });
  browserSays(9e9);
  expect(await storageError(ended, 16e6)).toMatchObject({
    code: 'storage-unavailable',
    message: expect.stringContaining('AbortError: The transaction ended.'),
  });
  expect((await storageError(null, 16e6)).message).toContain('no cause given');
});

it('does not take a full disk for a browser that refuses Blobs', async () => {
  browserSays(9e9);
  const written: unknown[] = [];
  const values = new BlobValues();
  const write = async (stored: readonly unknown[]): Promise<void> => {
    written.push(...stored);
    throw await storageError(FULL_WHILE_WRITING_BLOBS, 1);
  };
  await expect(values.write([new Blob(['a'])], write)).rejects.toBeInstanceOf(MixtabError);
  expect(written.map((value) => value instanceof Blob)).toEqual([true]);
});
