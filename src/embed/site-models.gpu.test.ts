/** The site's models, read by a window: those in the database and those in files. */
import { createStore, del, set } from 'idb-keyval';
import { expect, it } from 'vitest';
import { MODEL_DATABASE, PART_BYTES, RECORD_FOLDER } from '../contract/site-store.ts';
import { openSiteModels } from './site-models.ts';

const getDirectory = () => navigator.storage.getDirectory();

it('a model in files is listed and read as if it were in the database, if the browser shares the files', async () => {
  const database = createStore(MODEL_DATABASE.name, MODEL_DATABASE.objectStore);
  const bytes = Uint8Array.from({ length: PART_BYTES + 1000 }, (_, i) => i % 251);
  const record = { key: 'L0.E0', bytes: bytes.length, sha256: 'x' };
  const folder = await (await getDirectory()).getDirectoryHandle(RECORD_FOLDER, { create: true });
  const directory = await folder.getDirectoryHandle('site-file', { create: true });
  const writable = await (await directory.getFileHandle('L0.E0', { create: true })).createWritable();
  await writable.write(bytes);
  await writable.close();
  const inFile = { id: 'site-file', records: [{ ...record, place: 'opfs', parts: 1 }] };
  const inDatabase = { id: 'site-database', records: [{ ...record, bytes: 3, parts: 1 }] };
  await set('model/site-file', inFile, database);
  await set('model/site-database', inDatabase, database);
  await set('record/site-database/L0.E0/0000', new Blob(['abc']), database);
  try {
    const site = (await openSiteModels(indexedDB, getDirectory))!;
    const models = new Map(await site.models());
    expect(models.get('model/site-file')).toEqual({ id: 'site-file', records: [{ ...record, parts: 2 }] });
    expect(models.get('model/site-database')).toEqual(inDatabase);
    const keys = ['site-file/L0.E0/0000', 'site-file/L0.E0/0001', 'site-file/L0.E1/0000', 'site-database/L0.E0/0000'];
    const [first, second, missing, other] = (await site.getMany(keys.map((key) => `record/${key}`))) as Blob[];
    expect([first.size, second.size, missing, await other.text()]).toEqual([PART_BYTES, 1000, undefined, 'abc']);
    expect(new Uint8Array(await second.arrayBuffer())).toEqual(bytes.subarray(PART_BYTES));
    expect(await site.getMany(['model/none'])).toEqual([undefined]);

    const databaseOnly = (await openSiteModels(indexedDB))!;
    const listed = (await databaseOnly.models()).map(([key]) => key);
    expect(listed).toContain('model/site-database');
    expect(listed).not.toContain('model/site-file');
    expect(await databaseOnly.getMany([`record/${keys[0]}`])).toEqual([undefined]);
  } finally {
    await folder.removeEntry('site-file', { recursive: true });
    const all = ['model/site-file', 'model/site-database', 'record/site-database/L0.E0/0000'];
    await Promise.all(all.map((key) => del(key, database)));
  }
});
