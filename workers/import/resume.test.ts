/** Imports that were paused or interrupted, and resumed. */
import { describe, expect, it } from 'vitest';
import { MixtabError } from '../../src/contract/errors.ts';
import type { ImportProgress } from '../../src/contract/import-api.ts';
import { MemoryStore, MemoryValues } from '../store/memory-store.ts';
import { countingSource, importTiny, TINY } from './testing.ts';
import { verifyModel } from './verify.ts';

/** Simulates a tab that is closed: after `remaining` writes of records, writes have no effect and never settle. */
class ClosedTab extends MemoryValues {
  #close = (): void => {};
  closed = new Promise<void>((resolve) => {
    this.#close = resolve;
  });

  constructor(
    private readonly values: MemoryValues,
    private remaining: number,
  ) {
    super();
  }

  override keys = (prefix: string) => this.values.keys(prefix);
  override get = (key: string) => this.values.get(key);
  override getMany = (keys: string[]) => this.values.getMany(keys);
  override getAll = (prefix: string) => this.values.getAll(prefix);
  override write = async (changes: Parameters<MemoryValues['write']>[0]): Promise<void> => {
    if (changes.set?.some(([key]) => key.startsWith('record/'))) this.remaining--;
    if (this.remaining >= 0) return this.values.write(changes);
    this.#close();
    return new Promise(() => {});
  };
}

describe('an interrupted import', () => {
  const fresh = async () => {
    const store = new MemoryStore();
    const source = countingSource(TINY);
    const { id } = await importTiny(store, TINY, { source });
    const { importedAt: _importedAt, ...manifest } = (await store.getManifest(id))!;
    return { id, manifest, bytes: source.bytes };
  };

  it.each([0, 1, 9, 19])(
    'continues after %i records, with the same result as an uninterrupted one',
    async (records) => {
      const whole = await fresh();
      const values = new MemoryValues();
      const tab = new ClosedTab(values, records);
      void importTiny(new MemoryStore(tab), TINY);
      await tab.closed;
      const store = new MemoryStore(values);
      expect(await store.listManifests()).toEqual([]);
      expect((await store.listJournals()).map(({ id, name, records: done }) => [id, name, done.length])).toEqual([
        [whole.id, 'synthetic Mixtral', records],
      ]);

      const source = countingSource(TINY);
      const progress: ImportProgress[] = [];
      await importTiny(store, TINY, { source, onProgress: (p) => progress.push(p) });
      expect(progress.find(({ phase }) => phase === 'records')).toMatchObject({
        recordsDone: records,
        recordsTotal: 20,
      });
      if (records > 1) expect(source.bytes).toBeLessThan(whole.bytes);
      if (records === 19) expect(source.bytes).toBeLessThan(whole.bytes / 3);
      const { importedAt: _importedAt, ...manifest } = (await store.getManifest(whole.id))!;
      expect(manifest).toEqual(whole.manifest);
      expect(await verifyModel(store, whole.id, () => {})).toEqual([]);
      expect(await store.listJournals()).toEqual([]);
    },
  );

  it('makes a record again if its bytes are gone, and ignores a journal of another layout version', async () => {
    const { id, manifest } = await fresh();
    for (const damage of [
      (values: MemoryValues) => values.entries.delete(`record/${id}/L0.E2/0000`),
      (values: MemoryValues) =>
        values.entries.set(`import/${id}`, { ...(values.entries.get(`import/${id}`) as object), layoutVersion: -1 }),
    ]) {
      const values = new MemoryValues();
      const tab = new ClosedTab(values, 9);
      void importTiny(new MemoryStore(tab), TINY);
      await tab.closed;
      damage(values);
      const store = new MemoryStore(values);
      await importTiny(store, TINY);
      expect((await store.getManifest(id))?.records).toEqual(manifest.records);
      expect(await verifyModel(store, id, () => {})).toEqual([]);
    }
  });

  it('keeps what is stored when it is paused or its source is unreachable', async () => {
    for (const stop of ['pause', 'network']) {
      const store = new MemoryStore();
      const controller = new AbortController();
      const source = countingSource(TINY);
      const onProgress = ({ recordsDone }: ImportProgress): void => {
        if (recordsDone < 5) return;
        if (stop === 'pause') controller.abort('pause');
        else source.read = () => Promise.reject(new MixtabError('source-unreachable', 'gone'));
      };
      const code = stop === 'pause' ? 'aborted' : 'source-unreachable';
      await expect(importTiny(store, TINY, { signal: controller.signal, onProgress, source })).rejects.toMatchObject({
        code,
      });
      const [journal] = await store.listJournals();
      expect(journal.records.length).toBeGreaterThanOrEqual(5);
      expect(await store.listManifests()).toEqual([]);
      // After it is discarded, nothing is left.
      await store.removeModel(journal.id);
      expect(await store.listLeftovers()).toEqual([]);
    }
  });

  it('requires space only for what is missing', async () => {
    const values = new MemoryValues();
    const tab = new ClosedTab(values, 9);
    void importTiny(new MemoryStore(tab), TINY);
    await tab.closed;
    const required: number[] = [];
    const warnings = new Set<string | undefined>();
    const preflight = async (bytes: number) => {
      required.push(bytes);
      return 'little space';
    };
    const { storedBytes } = await importTiny(new MemoryStore(values), TINY, {
      preflight,
      onProgress: ({ phase, warning }) => phase === 'records' && warnings.add(warning),
    });
    expect(required[0]).toBeLessThan(storedBytes * 0.7);
    expect([...warnings]).toEqual(['little space']);
  });
});
