/**
 * When memory fails under a running model: an error that says what to do, never a wrong token, and a way to continue.
 */

import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { cdp } from 'vitest/browser';
import { createEngineClient, createImportClient } from '../../src/connect/worker-clients.ts';
import type { GenerateEvent } from '../../src/contract/engine-api.ts';
import { proxy } from '../../src/contract/rpc.ts';
import { SYNTH_PRESETS } from '../synth/presets.ts';
import type { SynthOptions } from '../synth/synth.ts';
import type { Engine } from './engine.ts';
import { engineWith, synthBlob } from './testing.ts';

const OPTIONS: SynthOptions = { ...SYNTH_PRESETS.tiny, layers: 4, seed: 3 };
const REQUEST = {
  input: { kind: 'text' as const, text: 'the first men of that day' },
  maxTokens: 24,
  sampling: { temperature: 0 },
  ignoreEos: true,
};

/** The least GPU budget, with which experts are loaded and evicted for every token. */
async function leastBudget(load: (gpuBudgetBytes: number) => Promise<unknown>): Promise<number> {
  const refused = (await load(1).catch((error: Error) => error)) as Error;
  return Number(/at least (\d+) MB/.exec(refused.message)?.[1]) * 1e6;
}

describe('an upload that fails', () => {
  let engine: Engine;
  let modelId: string;
  let load: () => Promise<unknown>;
  let expected: number[];
  beforeAll(async () => {
    ({ engine, modelId } = await engineWith(OPTIONS));
    const gpuBudgetBytes = await leastBudget((bytes) => engine.load({ modelId, gpuBudgetBytes: bytes }, () => {}));
    load = () => engine.load({ modelId, gpuBudgetBytes, ramBudgetBytes: 0 }, () => {});
    await load();
    expected = (await engine.generate(REQUEST, () => {})).tokens.map(({ id }) => id);
  });
  afterEach(() => vi.restoreAllMocks());

  /** Calls `instead` in place of all uploads to expert slots after the first `n`. */
  function failUploadsAfter(n: number, instead: (queue: GPUQueue, buffer: GPUBuffer, size: number) => void): void {
    const write = GPUQueue.prototype.writeBuffer;
    let uploads = 0;
    vi.spyOn(GPUQueue.prototype, 'writeBuffer').mockImplementation(function (
      this: GPUQueue,
      ...args: Parameters<typeof write>
    ) {
      const [buffer] = args;
      if (buffer.label.includes('slots') && ++uploads > n) instead(this, buffer, buffer.size);
      else write.apply(this, args);
    });
  }

  it('asynchronously ends the answer before a wrong token is emitted, and the model can be loaded again', async () => {
    const write = GPUQueue.prototype.writeBuffer;
    // A write beyond the end of the buffer: WebGPU reports it later, and the slot keeps the weights of another expert.
    failUploadsAfter(20, (queue, buffer, size) => write.call(queue, buffer, size, new Uint8Array(4)));
    const emitted: number[] = [];
    const onEvent = (event: GenerateEvent) => {
      if (event.type === 'token') emitted.push(event.token.id);
    };
    await expect(engine.generate(REQUEST, onEvent)).rejects.toMatchObject({
      code: 'internal',
      remedy: 'Load the model again.',
      modelLost: true,
    });
    expect(emitted).toEqual(expected.slice(0, emitted.length));
    expect(emitted.length).toBeLessThan(expected.length);
    await expect(engine.generate(REQUEST, () => {})).rejects.toMatchObject({ code: 'no-model-loaded' });
    vi.restoreAllMocks();
    await load();
    expect((await engine.generate(REQUEST, () => {})).tokens.map(({ id }) => id)).toEqual(expected);
  });

  it('synchronously ends the answer too, and the next one is right', async () => {
    failUploadsAfter(20, () => {
      throw new RangeError('Array buffer allocation failed');
    });
    await expect(engine.generate(REQUEST, () => {})).rejects.toThrow('allocation failed');
    vi.restoreAllMocks();
    expect((await engine.generate(REQUEST, () => {})).tokens.map(({ id }) => id)).toEqual(expected);
  });
});

describe('a store whose reads never end', () => {
  it('does not delay the answer after one that was stopped', async () => {
    const { engine, modelId, store } = await engineWith(OPTIONS);
    const gpuBudgetBytes = await leastBudget((bytes) => engine.load({ modelId, gpuBudgetBytes: bytes }, () => {}));
    await engine.load({ modelId, gpuBudgetBytes, ramBudgetBytes: 0 }, () => {});
    const expected = (await engine.generate(REQUEST, () => {})).tokens;
    const halfway = (event: GenerateEvent) => event.type === 'token' && event.token.id === expected[8].id;
    for (const isTime of [(event: GenerateEvent) => event.type === 'prefill', halfway]) {
      let requested = 0;
      const result = await engine.generate(REQUEST, (event) => {
        if (!isTime(event) || requested > 0) return;
        vi.spyOn(store, 'readPartsVerified').mockImplementation(() => {
          if (++requested === 1) setTimeout(() => void engine.stop(), 50);
          return new Promise(() => {});
        });
      });
      vi.restoreAllMocks();
      expect(result.finishReason).toBe('aborted');
      expect((await engine.generate(REQUEST, () => {})).tokens).toEqual(expected);
    }
    await engine.unload();
  });
});

describe('a store that the browser clears while a model runs', () => {
  it('is reported with a remedy, and the catalog no longer lists the model', async () => {
    const importer = createImportClient();
    const engine = createEngineClient();
    const { id } = await importer.api.import(
      { kind: 'file', files: [new File([synthBlob(OPTIONS)], 'tiny.gguf')] },
      proxy(() => {}),
    );
    const load = (gpuBudgetBytes: number) =>
      engine.api.load(
        { modelId: id, compute: 'gpu', gpuBudgetBytes, ramBudgetBytes: 0 },
        proxy(() => {}),
      );
    await load(await leastBudget(load));
    const before = await engine.api.generate(
      { ...REQUEST, maxTokens: 2 },
      proxy(() => {}),
    );
    expect(before.tokens).toHaveLength(2);
    const { origin } = globalThis.location;
    // As Chromium does when the disk is nearly full: it closes the connections and deletes the databases.
    await (cdp() as unknown as { send(method: string, params: object): Promise<void> }).send(
      'Storage.clearDataForOrigin',
      {
        origin,
        storageTypes: 'indexeddb',
      },
    );
    await expect(
      engine.api.generate(
        REQUEST,
        proxy(() => {}),
      ),
    ).rejects.toMatchObject({
      code: 'model-not-found',
      message: expect.stringContaining('the browser has cleared it'),
      remedy: 'Import it again.',
    });
    expect((await importer.api.list()).map((model) => model.id)).not.toContain(id);
    importer.terminate();
    engine.terminate();
  });
});
