/** A small model that is loaded while it is imported, or right after it, gets its records from the import's memory. */
import { afterAll, describe, expect, it, vi } from 'vitest';
import type { GenerateResult, LoadProgress } from '../../src/contract/engine-api.ts';
import type { ByteSource } from '../import/byte-source.ts';
import type { ImportInputs } from '../import/import-inputs.ts';
import { importTiny, sourceOf } from '../import/testing.ts';
import { HandOverReceiver, HandOverSender } from '../store/hand-over.ts';
import { connectedEnds } from '../store/hand-over-testing.ts';
import { MemoryStore } from '../store/memory-store.ts';
import { IMPORT_LOCK, readWhenStored } from '../store/record-requests.ts';
import { SessionStore } from '../store/session-store.ts';
import { SYNTH_PRESETS } from '../synth/presets.ts';
import type { Engine, EngineOptions } from './engine.ts';
import { greedy } from './exactness-testing.ts';
import { engineWith, GpuEngine } from './testing.ts';

const OPTIONS = { ...SYNTH_PRESETS.tiny, layers: 4, seed: 11 };

/** An import and an engine that are connected. `reads` are the keys of the records that were read from the store. */
function connected(store: MemoryStore, options: EngineOptions = {}) {
  const { importer, engine: end } = connectedEnds();
  const reads: string[] = [];
  const engine = new GpuEngine(store, {
    reader: {
      read: (id, record, signal, form) => {
        reads.push(record.key);
        return readWhenStored(store, id, record, signal, form);
      },
    },
    handOvers: new HandOverReceiver(end),
    ...options,
  });
  const handOvers = new HandOverSender(importer);
  const importWith = (more: Partial<ImportInputs> = {}) =>
    navigator.locks.request(IMPORT_LOCK, () => importTiny(store, OPTIONS, { handOvers, ...more }));
  return { engine, reads, importWith };
}

/** Begins to import the model, by default as the built-in one. `usable` resolves to its id once it can be loaded. */
function beginImport({ importWith }: ReturnType<typeof connected>, inputs: Partial<ImportInputs> = {}) {
  let isUsable = (_id: string): void => {};
  const usable = new Promise<string>((resolve) => {
    isUsable = resolve;
  });
  const imported = importWith({
    kind: 'builtin',
    source: sourceOf(OPTIONS),
    ...inputs,
    onProgress: ({ usableId }) => usableId && isUsable(usableId),
  });
  imported.catch(() => {}); // awaited by the test
  return { usable, imported };
}

const SESSIONS = 'mixtab-hand-over-test';
afterAll(() => void indexedDB.deleteDatabase(SESSIONS));

const answer = (engine: Engine): Promise<GenerateResult> =>
  engine.generate(
    { input: { kind: 'text', text: 'the first men' }, maxTokens: 2, sampling: { temperature: 0 }, ignoreEos: true },
    () => {},
  );

const tokensOf = async (engine: Engine): Promise<number[]> => (await greedy(engine)).tokens.map(({ id }) => id);

describe.each(['gpu', 'cpu'] as const)('on the %s', (compute) => {
  /** The tokens of the model as it is read from the store. */
  async function expectedTokens(): Promise<number[]> {
    const { engine, modelId } = await engineWith(OPTIONS);
    await engine.load({ modelId, compute }, () => {});
    const tokens = await tokensOf(engine);
    await engine.unload();
    return tokens;
  }

  it('gives the same tokens without one read of the store, before it is stored and after it', async () => {
    const expected = await expectedTokens();
    const store = new MemoryStore();
    const early = connected(store);
    let resume = (): void => {};
    const mayStore = new Promise<void>((resolve) => (resume = resolve));
    const put = vi.spyOn(store, 'putRecords').mockImplementation(async (...args) => {
      await mayStore;
      return MemoryStore.prototype.putRecords.apply(store, args);
    });
    const { usable, imported } = beginImport(early);
    const modelId = await usable;
    await early.engine.load({ modelId, compute }, () => {});
    expect(await tokensOf(early.engine)).toEqual(expected);
    expect(early.reads).toEqual([]);
    expect(put).toHaveBeenCalledTimes(1);
    resume();
    await imported;
    expect(await store.getManifest(modelId)).toMatchObject({ state: 'complete' });
    await early.engine.unload();

    const late = connected(new MemoryStore());
    const { id } = await late.importWith();
    await late.engine.load({ modelId: id, compute }, () => {});
    expect(await tokensOf(late.engine)).toEqual(expected);
    expect(late.reads).toEqual([]);
    // What was handed over is not kept: the next load reads everything.
    await late.engine.load({ modelId: id, compute }, () => {});
    expect(new Set(late.reads).size).toBe((await late.engine.experts())!.residence.length + OPTIONS.layers + 2);
    await late.engine.unload();
  });

  it('is not loaded if its file was replaced while it was read, and can be loaded once it was imported again', async () => {
    const store = new MemoryStore();
    const test = connected(store);
    const source = sourceOf(OPTIONS);
    const readAgain: ByteSource['readAgain'] = async (...range) =>
      (await source.read(...range)).map((byte) => byte ^ 1);
    const { usable, imported } = beginImport(test, { source: Object.assign(source, { readAgain }) });
    const modelId = await usable;
    await expect(test.engine.load({ modelId, compute }, () => {})).rejects.toMatchObject({
      code: 'record-missing',
      modelLost: true,
    });
    await expect(imported).rejects.toMatchObject({ code: 'source-changed' });
    expect(await test.engine.experts()).toBeUndefined();
    await test.importWith({ kind: 'builtin' });
    await test.engine.load({ modelId, compute }, () => {});
    expect(await tokensOf(test.engine)).toEqual(await expectedTokens());
    await test.engine.unload();
  });

  it('is restored from a session after a reload, if it was loaded during its import', async () => {
    const store = new MemoryStore();
    const sessions = new SessionStore(SESSIONS);
    const first = connected(store, { sessions });
    const { usable, imported } = beginImport(first);
    const modelId = await usable;
    expect((await first.engine.load({ modelId, compute }, () => {})).summary.state).toBe('importing');
    await imported;
    await answer(first.engine);
    expect(await first.engine.saveSession('a', 1e9)).toBeGreaterThan(0);
    await first.engine.unload();

    const { engine } = connected(store, { sessions });
    await engine.load({ modelId, compute }, () => {});
    expect(await engine.restoreSession('a')).toBeGreaterThan(0);
    expect((await answer(engine)).reusedTokens).toBeGreaterThan(0);
    await engine.unload();
  });

  it('has no sessions before its import has ended, and keeps those that are stored', async () => {
    const sessions = new SessionStore(SESSIONS);
    for (const { id } of await sessions.list()) await sessions.remove(id);
    /** An engine with a model of which all records are stored, but not its manifest. */
    const importing = async () => {
      const store = new MemoryStore();
      let end = (): void => {};
      const ended = new Promise<void>((resolve) => (end = resolve));
      vi.spyOn(store, 'putManifest').mockImplementation(async (manifest) => {
        await ended;
        return MemoryStore.prototype.putManifest.call(store, manifest);
      });
      const test = connected(store, { sessions });
      const { usable, imported } = beginImport(test, { kind: 'file' }); // its experts are not waited for
      await test.engine.load({ modelId: await usable, compute }, () => {});
      const complete = async (): Promise<void> => {
        end();
        await imported;
      };
      return { engine: test.engine, complete };
    };
    const first = await importing();
    await answer(first.engine);
    expect(await first.engine.saveSession('a', 1e9)).toBe(0);
    await first.complete();
    expect(await first.engine.saveSession('a', 1e9)).toBeGreaterThan(0);
    await first.engine.unload();

    const again = await importing();
    expect(await again.engine.restoreSession('a')).toBe(0);
    expect(await sessions.list()).toHaveLength(1);
    await again.complete();
    expect(await again.engine.restoreSession('a')).toBeGreaterThan(0);
    await again.engine.unload();
  });

  it('can be stopped while it waits for the import', async () => {
    const store = new MemoryStore();
    const test = connected(store);
    let end = (): void => {};
    const ended = new Promise<void>((resolve) => (end = resolve));
    const source = sourceOf(OPTIONS);
    const readAgain: ByteSource['readAgain'] = async (...range) => {
      await ended;
      return source.read(...range);
    };
    const { usable, imported } = beginImport(test, { source: Object.assign(source, { readAgain }) });
    let isLast = (): void => {};
    const waits = new Promise<void>((resolve) => (isLast = resolve));
    const onProgress = ({ phase, bytesDone, bytesTotal }: LoadProgress): void => {
      if (phase === 'experts' && bytesDone >= bytesTotal * (1 - 1 / OPTIONS.layers)) isLast();
    };
    const load = test.engine.load({ modelId: await usable, compute }, onProgress);
    load.catch(() => {}); // awaited below
    await waits;
    await new Promise((resolve) => setTimeout(resolve, 300)); // long enough to read the last layer
    await test.engine.stop();
    await expect(load).rejects.toMatchObject({ code: 'aborted', modelLost: true });
    end();
    await imported;
  });
});
