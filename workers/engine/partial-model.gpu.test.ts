/** A model that runs while it is being imported: experts are imported in the order in which its routers need them. */
import { describe, expect, it } from 'vitest';
import { isExpertKey, isExpertKeyOf } from '../format/manifest.ts';
import { BlobByteSource, type ByteSource } from '../import/byte-source.ts';
import { importModel } from '../import/importer.ts';
import { MemoryStore } from '../store/memory-store.ts';
import { IMPORT_LOCK, RecordRequests } from '../store/record-requests.ts';
import { SYNTH_PRESETS } from '../synth/presets.ts';
import type { Engine } from './engine.ts';
import { engineWith, GpuEngine, synthBlob } from './testing.ts';

const LAYERS = 4;
const OPTIONS = { ...SYNTH_PRESETS.tiny, layers: LAYERS, seed: 9 };
/** One per layer, the embedding and the output. */
const DENSE_RECORDS = LAYERS + 2;

/** Once closed, lets reads through one by one. */
class Gate {
  #open = true;
  #waiting: (() => void)[] = [];

  close(): void {
    this.#open = false;
  }

  async pass(): Promise<void> {
    if (!this.#open) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  letOne(): void {
    this.#waiting.shift()?.();
  }

  open(): void {
    this.#open = true;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

const greedy = (engine: Engine) =>
  engine.generate(
    { input: { kind: 'text', text: 'the' }, maxTokens: 4, sampling: { temperature: 0 }, ignoreEos: true },
    () => {},
  );

/**
 * Starts an import that pauses before its first expert. Resolves once that is set up; `id` when the model can be
 * loaded.
 */
async function importUntilUsable(store: MemoryStore) {
  const gate = new Gate();
  const blob = new BlobByteSource(synthBlob(OPTIONS), 'synthetic.gguf');
  const source: ByteSource = {
    name: blob.name,
    size: blob.size,
    read: async (offset, length, signal) => {
      await gate.pass();
      return blob.read(offset, length, signal);
    },
  };
  const requests = new RecordRequests();
  const abort = new AbortController();
  const stored: string[] = [];
  let usable = (_id: string): void => {};
  const id = new Promise<string>((resolve) => {
    usable = resolve;
  });
  const done = navigator.locks.request(IMPORT_LOCK, () =>
    importModel({
      store,
      source,
      kind: 'file',
      signal: abort.signal,
      preflight: async () => undefined,
      requests: {
        next: (model, left) => requests.next(model, left),
        stored: (model, key) => {
          stored.push(key);
          requests.stored(model, key);
          // After the last dense record, every read waits.
          if (stored.length === DENSE_RECORDS) gate.close();
        },
      },
      onProgress: ({ usableId }) => {
        if (usableId) usable(usableId);
      },
    }),
  );
  done.catch(() => {}).finally(() => requests.close());
  return { gate, stored, id, done, abort };
}

describe('a model that is still being imported', () => {
  it('gives the same tokens as a complete one, and the experts it requests are imported first', async () => {
    const whole = await engineWith(OPTIONS);
    await whole.engine.load({ modelId: whole.modelId }, () => {});
    const expected = (await greedy(whole.engine)).tokens.map(({ id }) => id);
    await whole.engine.unload();

    const store = new MemoryStore();
    const { gate, stored, id, done } = await importUntilUsable(store);
    const modelId = await id;
    const engine = new GpuEngine(store);
    await engine.load({ modelId }, () => {});
    expect(await store.getManifest(modelId)).toBeUndefined();
    // Deliver only while a record is waited for, or all would have arrived before the first kernel is compiled.
    const requested = new Set<string>();
    const wanted = new Set<string>();
    let likely: string[] = [];
    const channel = new BroadcastChannel('mixtab-records');
    channel.onmessage = ({ data }) => {
      if (data.type === 'want') requested.add(data.key) && wanted.add(data.key);
      if (data.type === 'unwanted') wanted.delete(data.key);
      if (data.type === 'likely') likely = data.keys;
    };
    const generating = greedy(engine);
    const ticking = setInterval(() => {
      if ([...wanted].some((key) => !stored.includes(key))) gate.letOne();
    }, 5);
    const result = await generating;
    clearInterval(ticking);
    expect(result.tokens.map((token) => token.id)).toEqual(expected);
    expect(stored.slice(0, DENSE_RECORDS).some(isExpertKey)).toBe(false);
    const imported = stored.filter(isExpertKey);
    const unrequested = imported.filter((key) => !requested.has(key));
    // One read that began before the first request, and sometimes one that began in a pause between requests.
    expect(unrequested.length).toBeLessThan(imported.length / 3);
    expect(imported.length).toBeLessThan(LAYERS * 8);
    expect(imported.some((key) => isExpertKeyOf(key, 2))).toBe(true);
    await engine.unload();
    gate.open();
    expect((await done).state).toBe('complete');
    channel.close();
    // Experts that are not requested, or no longer, are imported by likelihood. The first one may have begun before the
    // likelihoods were known.
    const [, ...rest] = stored.slice(DENSE_RECORDS + imported.length).filter((key) => !wanted.has(key));
    expect(rest.length).toBeGreaterThan(3);
    expect(rest).toEqual(likely.filter((key) => rest.includes(key)));
    expect(rest).not.toEqual([...rest].sort());
    expect(await store.getPartial(modelId)).toBeUndefined();
  });

  it('says so if the download has stopped', async () => {
    const store = new MemoryStore();
    const { gate, id, done, abort } = await importUntilUsable(store);
    const engine = new GpuEngine(store);
    await engine.load({ modelId: await id }, () => {});
    const generating = greedy(engine);
    abort.abort('pause');
    gate.open();
    await expect(done).rejects.toBeDefined();
    await expect(generating).rejects.toMatchObject({ code: 'record-missing' });
    await engine.unload();
  });
});
