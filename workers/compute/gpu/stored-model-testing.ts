/** A tiny synthetic model in a store, and loads of it on a GPU that may be a fake. */
import type { LoadRequest } from '../../../src/contract/engine-api.ts';
import { MixtabError } from '../../../src/contract/errors.ts';
import { joinParts } from '../../format/record-parts.ts';
import { importTiny } from '../../import/testing.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import type { RecordReader } from '../../store/record-reader.ts';
import type { SynthOptions } from '../../synth/synth.ts';
import type { Compute } from '../compute.ts';
import { ModelRecords, sumBytes } from '../model-records.ts';
import type { GpuModel } from './gpu-model.ts';
import { type GpuLoadInputs, loadGpuCompute, loadGpuModel } from './load-gpu-model.ts';
import type { Gpu } from './open-gpu.ts';

type Request = Partial<LoadRequest>;

/** A model that tests load again and again. */
export interface StoredModel {
  /** Bytes of all its records. */
  recordBytes: number;
  /** Loads it as the engine does. */
  load(gpu: Gpu, request?: Request, reader?: RecordReader): Promise<Compute>;
  /** Loads it and returns its parts. */
  loadModel(gpu: Gpu, request?: Request): Promise<GpuModel>;
  /** Reads from the store, except the records whose keys match: that fails. */
  failing(key: RegExp): RecordReader;
  /** Reads from the store, and hands records over in parts of `bytes` bytes if it is asked for parts. */
  inParts(bytes: number): RecordReader;
}

/**
 * Hands the records of another reader over in parts of `bytes` bytes, if it is asked for parts. The last one is first.
 * @param onPart called for each part
 */
export function splitting(reader: RecordReader, bytes: number, onPart: () => void = () => {}): RecordReader {
  return {
    read: async (id, record, signal, { parts: early, ...form } = {}) => {
      const read = await reader.read(id, record, signal, form);
      if (!early) return read;
      const whole = joinParts(read);
      const parts = Array.from({ length: Math.ceil(whole.byteLength / bytes) }, (_, n) =>
        whole.slice(n * bytes, (n + 1) * bytes),
      );
      for (const [index, part] of [...parts.entries()].reverse()) {
        early.add(part, index);
        onPart();
        await new Promise((resolve) => setTimeout(resolve));
      }
      return { byteLength: read.byteLength, parts };
    },
  };
}

/**
 * Imports a synthetic model into memory.
 * @param defaults of all its loads
 */
export async function storeModel(options: SynthOptions, defaults: Request): Promise<StoredModel> {
  const store = new MemoryStore();
  const { id: modelId } = await importTiny(store, options);
  const fromStore: RecordReader = { read: (id, record) => store.readPartsVerified(id, record) };
  const inputsOf = async (gpu: Gpu, request: Request, reader: RecordReader): Promise<GpuLoadInputs> => ({
    gpu,
    records: new ModelRecords(reader, (await store.getManifest(modelId))!),
    request: { modelId, ...defaults, ...request },
    onProgress: () => {},
  });
  return {
    recordBytes: sumBytes((await store.getManifest(modelId))!.records),
    load: async (gpu, request = {}, reader = fromStore) => loadGpuCompute(await inputsOf(gpu, request, reader)),
    loadModel: async (gpu, request = {}) => loadGpuModel(await inputsOf(gpu, request, fromStore)),
    failing: (key) => ({
      read: async (id, record) => {
        if (key.test(record.key)) throw new MixtabError('record-missing', `${record.key} is missing.`);
        return store.readPartsVerified(id, record);
      },
    }),
    inParts: (bytes) => splitting(fromStore, bytes),
  };
}
