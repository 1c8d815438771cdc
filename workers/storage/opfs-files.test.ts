/** Node has no private file system, as some browsers have none. */
import { expect, it } from 'vitest';
import { ImportService } from '../import-service.ts';
import { MemoryStore } from './memory-store.ts';
import { OpfsFiles, opfsSupported } from './opfs-files.ts';

it('without files private to the page models stay in the database: looking finds none, and asking for files is refused with the remedy', async () => {
  expect(opfsSupported()).toBe(false);
  const files = new OpfsFiles();
  expect(await files.models()).toEqual([]);
  expect(await files.keys('m')).toEqual([]);
  await files.remove('m');
  await expect(files.put('m', 'L0.E0', new Uint8Array(1))).rejects.toMatchObject({ code: 'storage-unavailable' });
  const wanted = new ImportService(new MemoryStore()).import({ kind: 'file', files: [] }, () => {}, { place: 'opfs' });
  await expect(wanted).rejects.toMatchObject({ code: 'storage-unavailable', remedy: 'Choose the database instead.' });
});
