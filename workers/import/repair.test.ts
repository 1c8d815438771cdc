/** Verification and repair of stored models. */
import { describe, expect, it, vi } from 'vitest';
import type { ImportProgress } from '../../src/contract/import-api.ts';
import { MemoryStore, MemoryValues } from '../store/memory-store.ts';
import { ReadProgress } from '../store/read-progress.ts';
import { repairModel } from './repair.ts';
import { countingSource, importTiny, sourceOf, TINY } from './testing.ts';
import { verifyModel } from './verify.ts';

const never = new Promise<never>(() => {});

/** Delivers a byte every few milliseconds for longer than a read may make no progress, and then the rest. */
function slowStream(bytes: Uint8Array, onByte: () => void): ReadableStream<Uint8Array<ArrayBuffer>> {
  let sent = 0;
  return new ReadableStream({
    type: 'bytes',
    async pull(controller) {
      const { byobRequest } = controller;
      const view = byobRequest!.view as Uint8Array;
      await new Promise((resolve) => setTimeout(resolve, 5));
      const length = sent < 60 ? 1 : Math.min(view.byteLength, bytes.byteLength - sent);
      view.set(bytes.subarray(sent, sent + length));
      sent += length;
      onByte();
      byobRequest!.respond(length);
    },
  });
}

describe('damaged records', () => {
  it('are found, named, and never used as weights', async () => {
    const values = new MemoryValues();
    const store = new MemoryStore(values);
    const { id } = await importTiny(store, TINY);
    const key = [...values.entries.keys()].find((entry) => entry.startsWith(`record/${id}/L0.E2/`))!;
    const bytes = new Uint8Array(await (values.entries.get(key) as Blob).arrayBuffer());
    bytes[1000] ^= 1;
    values.entries.set(key, new Blob([bytes]));
    const record = (await store.getManifest(id))!.records.find((info) => info.key === 'L0.E2')!;
    await expect(store.readRecordVerified(id, record)).rejects.toMatchObject({
      code: 'record-damaged',
      message: expect.stringContaining('L0.E2'),
    });
    expect(await verifyModel(store, id, () => {})).toEqual(['L0.E2']);
    expect((await store.getManifest(id))?.state).toBe('damaged');
    values.entries.delete(key);
    await expect(store.readRecord(id, record)).rejects.toMatchObject({ code: 'record-missing' });
  });

  it('are written again, and no others, when the same file is imported again', async () => {
    const values = new MemoryValues();
    const store = new MemoryStore(values);
    const { id } = await importTiny(store, TINY);
    const before = await store.getManifest(id);
    values.entries.set(`record/${id}/L0.E2/0000`, new Blob([new Uint8Array(100)]));
    values.entries.delete(`record/${id}/L1.dense/0000`);
    expect(await verifyModel(store, id, () => {})).toEqual(['L0.E2', 'L1.dense']);
    const source = countingSource(TINY);
    const summary = await importTiny(store, TINY, { source });
    expect(summary).toMatchObject({ id, state: 'complete' });
    const damaged = before!.records.filter(({ key }) => ['L0.E2', 'L1.dense'].includes(key));
    expect(source.bytes).toBeLessThan(damaged.reduce((sum, { bytes }) => sum + bytes, 0) + 1);
    expect(await store.getManifest(id)).toEqual(before);
    expect(await verifyModel(store, id, () => {})).toEqual([]);
  });

  it('are not found where a read failed once; one that fails again is reported, but marks nothing', async () => {
    const values = new MemoryValues();
    const store = new MemoryStore(values);
    const { id } = await importTiny(store, TINY);
    const key = `record/${id}/L0.E2/0000`;
    const failing = new Blob([await (values.entries.get(key) as Blob).arrayBuffer()]);
    let failures = 1;
    vi.spyOn(failing, 'stream').mockImplementation(() => {
      if (failures-- > 0) throw new DOMException('a passing error', 'NotReadableError');
      return Blob.prototype.stream.call(failing);
    });
    vi.spyOn(failing, 'arrayBuffer').mockImplementation(async () => {
      throw new DOMException('a passing error', 'NotReadableError');
    });
    values.entries.set(key, failing);
    expect(await verifyModel(store, id, () => {})).toEqual([]);
    failures = 2;
    expect(await verifyModel(store, id, () => {})).toEqual(['L0.E2']);
    expect((await store.getManifest(id))?.state).toBe('complete');
  });

  it('are not found where the browser never answers a read: it is repeated once, and then an error', async () => {
    const values = new MemoryValues();
    const store = new MemoryStore(values);
    const { id } = await importTiny(store, TINY);
    const key = `record/${id}/L0.E2/0000`;
    const hanging = new Blob([await (values.entries.get(key) as Blob).arrayBuffer()]);
    let hangs = 1;
    vi.spyOn(hanging, 'stream').mockImplementation(() =>
      hangs-- > 0 ? new ReadableStream({ type: 'bytes', pull: () => never }) : Blob.prototype.stream.call(hanging),
    );
    values.entries.set(key, hanging);
    expect(await verifyModel(store, id, () => {}, { tickMs: 2 })).toEqual([]);
    hangs = 2;
    await expect(verifyModel(store, id, () => {}, { tickMs: 2 })).rejects.toMatchObject({
      code: 'record-unreadable',
      message: expect.stringMatching(/L0\.E2.*delivered nothing/),
    });
    expect((await store.getManifest(id))?.state).toBe('complete');
    expect(hangs).toBe(0); // no record is read after that
  });

  it('are waited for as long as bytes arrive', async () => {
    const values = new MemoryValues();
    const store = new MemoryStore(values);
    const { id } = await importTiny(store, TINY);
    const key = `record/${id}/L0.E2/0000`;
    const bytes = new Uint8Array(await (values.entries.get(key) as Blob).arrayBuffer());
    const slow = new Blob([bytes]);
    const progress = new ReadProgress();
    const streams = vi.spyOn(slow, 'stream').mockImplementation(() => slowStream(bytes, progress.note));
    values.entries.set(key, slow);
    expect(await verifyModel(store, id, () => {}, { tickMs: 10, progress })).toEqual([]);
    expect(streams).toHaveBeenCalledTimes(1);
  });

  it('stay removed if the model is removed during a verification or a repair', async () => {
    const values = new MemoryValues();
    const store = new MemoryStore(values);
    const { id } = await importTiny(store, TINY);
    const manifest = (await store.getManifest(id))!;
    values.entries.delete(`record/${id}/L1.dense/0000`);
    const removeAt =
      (phaseEnd: number) =>
      ({ recordsDone }: ImportProgress): void => {
        if (recordsDone === phaseEnd) void store.removeModel(id);
      };
    expect(await verifyModel(store, id, removeAt(20))).toEqual(['L1.dense']);
    expect(await store.listManifests()).toEqual([]);
    await importTiny(store, TINY);
    await expect(
      repairModel(
        {
          store,
          source: sourceOf(TINY),
          kind: 'url',
          signal: new AbortController().signal,
          onProgress: removeAt(20),
          preflight: async () => undefined,
        },
        manifest,
      ),
    ).rejects.toMatchObject({ code: 'model-not-found' });
    expect(await store.listManifests()).toEqual([]);
  });

  it('get checksums when a model of an earlier version is verified', async () => {
    const store = new MemoryStore();
    const { id } = await importTiny(store, TINY);
    const before = (await store.getManifest(id))!;
    expect(before.records.every(({ xxh64 }) => xxh64)).toBe(true);
    const records = before.records.map(({ xxh64: _xxh64, ...record }) => record);
    await store.updateManifest(id, (manifest) => ({ ...manifest, records }));
    expect(await verifyModel(store, id, () => {})).toEqual([]);
    expect(await store.getManifest(id)).toEqual(before);
  });

  it('are not replaced by those of another file', async () => {
    const values = new MemoryValues();
    const store = new MemoryStore(values);
    const { id } = await importTiny(store, TINY);
    values.entries.delete(`record/${id}/L1.dense/0000`);
    const manifest = (await store.getManifest(id))!;
    const inputs = {
      store,
      kind: 'url' as const,
      signal: new AbortController().signal,
      onProgress: () => {},
      preflight: async () => undefined,
    };
    await expect(repairModel({ ...inputs, source: sourceOf({ ...TINY, seed: 2 }) }, manifest)).rejects.toMatchObject({
      code: 'source-changed',
    });
    expect(await repairModel({ ...inputs, source: sourceOf(TINY) }, manifest)).toMatchObject({ state: 'complete' });
    expect(await verifyModel(store, id, () => {})).toEqual([]);
  });
});
