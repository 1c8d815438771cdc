import { expect, it } from 'vitest';
import type { StorageBackend } from '../../src/contract/import-api.ts';
import type { RecordInfo } from '../format/manifest.ts';
import { onePart } from '../format/record-parts.ts';
import { MemoryStore, MemoryValues } from '../store/memory-store.ts';
import type { RecordFiles } from '../store/store.ts';
import { chooseStorage } from './choose-storage.ts';
import { importTiny, TINY } from './testing.ts';
import { verifyModel } from './verify.ts';

/** Files in main memory. */
class MemoryFiles implements RecordFiles {
  readonly stored = new Map<string, Map<string, Uint8Array<ArrayBuffer>>>();
  async put(modelId: string, key: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    this.stored.set(modelId, (this.stored.get(modelId) ?? new Map()).set(key, bytes.slice()));
  }
  async read(modelId: string, { key }: RecordInfo) {
    const bytes = this.stored.get(modelId)?.get(key);
    return bytes && onePart(bytes.slice());
  }
  async remove(modelId: string): Promise<void> {
    this.stored.delete(modelId);
  }
  keys = async (modelId: string): Promise<string[]> => [...(this.stored.get(modelId)?.keys() ?? [])];
  models = async (): Promise<string[]> => [...this.stored.keys()];
}

const GB = 1e9;
const kept = (place?: StorageBackend): RecordInfo[] => [{ key: 'L0.E0', ...(place && { place }) } as RecordInfo];

it.each<[string, Parameters<typeof chooseStorage>, StorageBackend]>([
  ['a small model', [{ filesWork: async () => true }, GB - 1, []], 'indexeddb'],
  ['a large model', [{ filesWork: async () => true }, GB, []], 'opfs'],
  [
    'a large model, if the user has left it to the browser',
    [{ storage: 'auto', filesWork: async () => true }, GB, []],
    'opfs',
  ],
  ['a large model in a browser that refuses files', [{ filesWork: async () => false }, GB, []], 'indexeddb'],
  ['a large model if nothing is known of files', [{}, GB, []], 'indexeddb'],
  [
    'a large model that the user wants in the database',
    [{ storage: 'indexeddb', filesWork: async () => true }, GB, []],
    'indexeddb',
  ],
  ['a small model that the user wants in files', [{ storage: 'opfs', filesWork: async () => true }, 1, []], 'opfs'],
  [
    'the rest of a model whose import began in the database',
    [{ filesWork: async () => true }, GB, kept()],
    'indexeddb',
  ],
  ['the rest of a model whose import began in files', [{ filesWork: async () => true }, 1, kept('opfs')], 'opfs'],
  [
    'the rest of a model in files if the browser refuses them now',
    [{ filesWork: async () => false }, 1, kept('opfs')],
    'indexeddb',
  ],
])('stores %s in the right place', async (_, args, expected) => {
  expect(await chooseStorage(...args)).toBe(expected);
});

it('does not try files for models that do not need them', async () => {
  const filesWork = () => Promise.reject(new Error('tried'));
  expect(await chooseStorage({ filesWork }, 1, [])).toBe('indexeddb');
});

it('a large model is stored in files, whole; an import that began in the database continues there', async () => {
  const values = new MemoryValues();
  const files = new MemoryFiles();
  const store = new MemoryStore(values, files);
  const large = { filesWork: async () => true, filesFrom: 1 };
  const { id } = await importTiny(store, TINY, large);
  const { records } = (await store.getManifest(id))!;
  expect(new Set(records.map(({ place, parts }) => `${place} ${parts}`))).toEqual(new Set(['opfs 1']));
  expect((await files.keys(id)).sort()).toEqual(records.map(({ key }) => key).sort());
  expect(await values.keys('record/')).toEqual([]);
  expect(await verifyModel(store, id, () => {})).toEqual([]);
  await store.removeModel(id);
  expect([...values.entries.keys(), ...(await files.models())]).toEqual([]);

  const controller = new AbortController();
  const begun = importTiny(store, TINY, {
    signal: controller.signal,
    onProgress: ({ recordsDone }) => recordsDone === 3 && controller.abort('pause'),
  });
  await expect(begun).rejects.toBeDefined();
  expect((await store.getJournal(id))!.records.length).toBeGreaterThan(0);
  await importTiny(store, TINY, large);
  expect(await files.models()).toEqual([]);
  expect(await verifyModel(store, id, () => {})).toEqual([]);
});
