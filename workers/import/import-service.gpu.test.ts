/** The import worker's service in a real browser: pause and resume, repair from the URL, one import at a time. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { ImportProgress, ModelSource } from '../../src/contract/import-api.ts';
import { synthBlob } from '../engine/testing.ts';
import { MemoryStore, MemoryValues } from '../store/memory-store.ts';
import { whileWriting } from '../store/model-lock.ts';
import { IMPORT_LOCK } from '../store/record-requests.ts';
import { SessionStore } from '../store/session-store.ts';
import { SYNTH_PRESETS } from '../synth/presets.ts';
import { ImportService } from './import-service.ts';

const file = (): ModelSource => ({ kind: 'file', files: [new File([synthBlob(SYNTH_PRESETS.tiny)], 'tiny.gguf')] });
let service: ImportService | undefined;
afterEach(() => service?.cancel());

function serviceOn(values: MemoryValues): ImportService {
  service = new ImportService(new MemoryStore(values));
  return service;
}

describe('ImportService', () => {
  it('waits for the import of another tab, reports that, and can be cancelled meanwhile', async () => {
    const imports = serviceOn(new MemoryValues());
    let done = (): void => {};
    const other = new Promise<void>((begun) => {
      void navigator.locks.request(IMPORT_LOCK, () => {
        begun();
        return new Promise<void>((resolve) => {
          done = resolve;
        });
      });
    });
    await other;
    const warnings: (string | undefined)[] = [];
    const cancelled = imports.import(file(), ({ warning }) => {
      warnings.push(warning);
      void imports.cancel();
    });
    await expect(cancelled).rejects.toMatchObject({ code: 'aborted' });
    expect(warnings).toEqual([expect.stringContaining('Another tab is importing')]);
    const waiting = imports.import(file(), ({ warning, phase }) => {
      if (phase === 'header' && warning) done();
    });
    expect(await waiting).toMatchObject({ state: 'complete' });
  });

  it('pauses, lists what is unfinished, and resumes; another import leaves it alone', async () => {
    const values = new MemoryValues();
    const imports = serviceOn(values);
    const pauseAt = (progress: ImportProgress) => {
      if (progress.recordsDone === 4) void imports.pause();
    };
    await expect(imports.import(file(), pauseAt)).rejects.toMatchObject({ code: 'aborted' });
    const [unfinished] = await imports.unfinished();
    expect(unfinished).toMatchObject({ name: 'synthetic Mixtral', origin: 'tiny.gguf' });
    expect(unfinished.bytesDone).toBeGreaterThan(0);
    expect(unfinished.bytesDone).toBeLessThan(unfinished.bytesTotal);
    expect(await imports.list()).toEqual([]);

    const other: ModelSource = {
      kind: 'file',
      files: [new File([synthBlob({ ...SYNTH_PRESETS.tiny, seed: 2, layers: 1 })], 'other.gguf')],
    };
    const { id: otherId } = await imports.import(other, () => {});
    expect(await imports.unfinished()).toEqual([unfinished]);

    const started: ImportProgress[] = [];
    const { id } = await imports.import(file(), (progress) => progress.phase === 'records' && started.push(progress));
    expect(id).toBe(unfinished.id);
    expect(started[0].recordsDone).toBeGreaterThanOrEqual(4);
    expect(await imports.unfinished()).toEqual([]);
    expect((await imports.list()).map((model) => model.id).sort()).toEqual([id, otherId].sort());
    expect(await imports.verify(id, () => {})).toEqual([]);
  });

  it('removes a discarded unfinished import, and refuses a second import at the same time', async () => {
    const values = new MemoryValues();
    const imports = serviceOn(values);
    const running = imports.import(file(), ({ recordsDone }) => {
      if (recordsDone === 4) void imports.pause();
    });
    await expect(imports.import(file(), () => {})).rejects.toMatchObject({ code: 'busy' });
    await expect(running).rejects.toMatchObject({ code: 'aborted' });
    const [{ id }] = await imports.unfinished();
    await imports.remove(id);
    expect(values.entries.size).toBe(0);
  });

  it('in one tab is not pulled away by "Delete" in another tab', async () => {
    const values = new MemoryValues();
    const imports = serviceOn(values);
    const other = new ImportService(new MemoryStore(values));
    let refused: Promise<unknown> | undefined;
    const { id } = await imports.import(file(), ({ recordsDone }) => {
      if (recordsDone < 4) return;
      refused ??= other
        .unfinished()
        .then(([unfinished]) => other.remove(unfinished.id))
        .catch((error: unknown) => error);
    });
    expect(await refused).toMatchObject({ code: 'busy' });
    expect(await imports.verify(id, () => {})).toEqual([]);
    await other.remove(id); // once it is done
    expect(values.entries.size).toBe(0);
  });

  it('is stopped only by its own name', async () => {
    const imports = serviceOn(new MemoryValues());
    let asked = false;
    const { state } = await imports.import(
      file(),
      ({ recordsDone }) => {
        if (recordsDone < 4 || asked) return;
        asked = true;
        void imports.pause('another');
        void imports.cancel('another');
      },
      { name: 'mine' },
    );
    expect([asked, state]).toEqual([true, 'complete']);
    const stopped = imports.import(
      { kind: 'file', files: [new File([synthBlob({ ...SYNTH_PRESETS.tiny, seed: 2 })], 'other.gguf')] },
      ({ recordsDone }) => recordsDone >= 4 && void imports.pause('mine'),
      { name: 'mine' },
    );
    await expect(stopped).rejects.toMatchObject({ code: 'aborted' });
    expect(await imports.unfinished()).toHaveLength(1);
  });

  it('tries again if the store does not answer, and says so', async () => {
    class HangingValues extends MemoryValues {
      writes = 0;
      override async write(changes: Parameters<MemoryValues['write']>[0]): Promise<void> {
        if (changes.set?.some(([key]) => key.startsWith('record/')) && ++this.writes === 3) await new Promise(() => {});
        await super.write(changes);
      }
    }
    service = new ImportService(new MemoryStore(new HangingValues()), { patienceMs: 1000 });
    const warnings = new Set<string | undefined>();
    const { id } = await service.import(file(), ({ warning }) => warnings.add(warning));
    expect([...warnings].join()).toMatch(
      /No progress for 1 s while storing records\. Trying again; what is stored is kept\. If the disk is full, free some/,
    );
    expect(await service.verify(id, () => {})).toEqual([]);
    await service.remove(id); // nobody holds its lock any more
  });

  it('refuses a model for which there is no space before anything is stored, unless sessions can give way', async () => {
    const values = new MemoryValues();
    const sessions = new SessionStore();
    const removeAll = vi.spyOn(sessions, 'removeAll').mockResolvedValue(false);
    const imports = new ImportService(new MemoryStore(values), { sessions });
    const free = (bytes: number) => ({ quota: 2e9, usage: 2e9 - bytes });
    const estimate = vi.spyOn(navigator.storage, 'estimate').mockImplementation(async () => free(1e5));
    try {
      await expect(imports.import(file(), () => {})).rejects.toMatchObject({
        code: 'storage-full',
        message: expect.stringMatching(
          /storage is full: [\d.]+ [kM]B more were needed, and the browser reports 100 kB free for this page/,
        ),
        remedy: 'Remove a model, free disk space or choose a smaller model.',
      });
      expect(values.entries.size).toBe(0);
      removeAll.mockImplementation(async () => {
        estimate.mockImplementation(async () => free(1e9));
        return true;
      });
      expect(await imports.import(file(), () => {})).toMatchObject({ state: 'complete' });
    } finally {
      estimate.mockRestore();
    }
  });

  it('also tries again while it removes what other imports left, and can be stopped there', async () => {
    class HangingStore extends MemoryStore {
      hangs = 1;
      listHangs = 1;
      removed: string[] = [];
      override async listLeftovers(): Promise<string[]> {
        if (this.listHangs-- > 0) await new Promise(() => {});
        return ['left'];
      }
      override async removeModel(id: string): Promise<void> {
        if (this.hangs-- > 0) await new Promise(() => {});
        this.removed.push(id);
        await super.removeModel(id);
      }
    }
    const store = new HangingStore(new MemoryValues());
    const imports = new ImportService(store, { patienceMs: 1000 });
    service = imports;
    const warnings = new Set<string | undefined>();
    const { state } = await imports.import(file(), ({ warning }) => warnings.add(warning));
    expect([...warnings].join()).toMatch(/No progress for 1 s while removing what other imports left\. Trying again/);
    expect([...warnings].join()).toMatch(/No progress for 2 s while removing what other imports left\. Trying again/);
    expect([state, store.removed[0]]).toEqual(['complete', 'left']);

    store.hangs = Number.POSITIVE_INFINITY;
    const stopped = imports.import(file(), ({ warning }) => warning && void imports.pause());
    await expect(stopped).rejects.toMatchObject({ code: 'aborted' });
    store.hangs = 0;
    expect(await imports.import(file(), () => {})).toMatchObject({ state: 'complete' }); // nobody holds the lock
  });

  it('does nothing under the lock of a model that it gets only after it was stopped', async () => {
    const work = vi.fn(async () => {});
    const stop = new AbortController();
    let free = (): void => {};
    const other = whileWriting(
      'm',
      () =>
        new Promise<void>((resolve) => {
          free = resolve;
          stop.abort();
        }),
      new AbortController().signal,
    );
    const late = whileWriting('m', work, stop.signal);
    await vi.waitFor(() => expect(stop.signal.aborted).toBe(true));
    free();
    await other;
    await expect(late).rejects.toMatchObject({ code: 'aborted' });
    expect(work).not.toHaveBeenCalled();
  });

  it('also tries a repair again that gets no answer about the model, and can be stopped there', async () => {
    class HangingStore extends MemoryStore {
      hangs = 0;
      override async getManifest(id: string) {
        if (this.hangs-- > 0) await new Promise(() => {});
        return super.getManifest(id);
      }
    }
    const store = new HangingStore(new MemoryValues());
    const imports = new ImportService(store, { patienceMs: 1000 });
    service = imports;
    const { id } = await imports.import({ kind: 'builtin', url: '/models/builtin.gguf' }, () => {});
    store.hangs = 1;
    const warnings = new Set<string | undefined>();
    expect(await imports.repair(id, ({ warning }) => warnings.add(warning))).toMatchObject({ state: 'complete' });
    expect([...warnings].join()).toMatch(/No progress for 1 s while reading what is stored\. Trying again/);

    store.hangs = Number.POSITIVE_INFINITY;
    const stopped = imports.repair(id, ({ warning }) => warning && void imports.cancel());
    await expect(stopped).rejects.toMatchObject({ code: 'aborted' });
  });

  it('repairs a model from its URL; for a local file it says how', async () => {
    const values = new MemoryValues();
    const imports = serviceOn(values);
    const { id } = await imports.import({ kind: 'builtin', url: '/models/builtin.gguf' }, () => {});
    const key = `record/${id}/L2.E3/0000`;
    const whole = new Uint8Array(await (values.entries.get(key) as Blob).arrayBuffer());
    const damaged = whole.slice();
    damaged[77] ^= 4;
    values.entries.set(key, new Blob([damaged]));
    expect(await imports.verify(id, () => {})).toEqual(['L2.E3']);
    expect(await imports.list()).toMatchObject([{ state: 'damaged' }]);
    expect(await imports.repair(id, () => {})).toMatchObject({ id, state: 'complete' });
    expect(new Uint8Array(await (values.entries.get(key) as Blob).arrayBuffer())).toEqual(whole);

    const { id: local } = await imports.import(file(), () => {});
    await expect(imports.repair(local, () => {})).rejects.toMatchObject({
      code: 'bad-request',
      remedy: expect.stringContaining('same file'),
    });
    await expect(imports.repair('nothing', () => {})).rejects.toMatchObject({ code: 'model-not-found' });
  });
});
