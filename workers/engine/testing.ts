/** Helpers for tests of the whole engine, with synthetic models imported into memory. */
import { vi } from 'vitest';
import type { LoadedModel } from '../../src/contract/engine-api.ts';
import type { Gpu } from '../compute/gpu/open-gpu.ts';
import type { ByteSource } from '../import/byte-source.ts';
import type { ImportInputs } from '../import/import-inputs.ts';
import { importSource } from '../import/testing.ts';
import { MemoryStore } from '../store/memory-store.ts';
import { createSynth, type SynthOptions } from '../synth/synth.ts';
import { ComputeLoader } from './compute-loader.ts';
import { Engine } from './engine.ts';

/** A complete synthetic GGUF file. */
export const synthBytes = (options: SynthOptions): Uint8Array<ArrayBuffer> => {
  const synth = createSynth(options);
  return synth.read(0, synth.size);
};

export const synthBlob = (options: SynthOptions): Blob => new Blob([synthBytes(options)]);

/** A file in memory: each read of a Blob would be an exchange with the browser's process. */
const memorySource = (bytes: Uint8Array<ArrayBuffer>): ByteSource => ({
  name: 'model.gguf',
  size: bytes.byteLength,
  read: async (offset, length) => bytes.slice(offset, offset + length),
});

/** Changes the GPU that the engines of all tests share, for models that are loaded from now on. Restore it. */
export const sharedGpu = { adjust: (gpu: Gpu): Gpu => gpu };

/**
 * Its device, and so the kernels that it has compiled, is shared by the engines of all tests and by the tests of kernels.
 * No trial decides.
 */
const sharedLoader = new ComputeLoader(
  (gpu) => sharedGpu.adjust({ uploads: 'write', ...gpu }),
  async (_adapter, _report, memory) => {
    const { getTestGpu } = await import('../compute/gpu/testing.ts'); // needs WebGPU, which Node does not have
    return { ...(await getTestGpu()), ...(memory && { memory }) };
  },
);

/** An engine that computes with WebGPU unless a request says otherwise, even if the GPU is software. */
export class GpuEngine extends Engine {
  /** Unless the options have another loader, all engines of all tests share one. */
  constructor(...[store, options]: ConstructorParameters<typeof Engine>) {
    super(store, { ...options, loader: options?.loader ?? sharedLoader });
  }

  override load(...[request, onProgress]: Parameters<Engine['load']>): Promise<LoadedModel> {
    return super.load({ compute: 'gpu', ...request }, onProgress);
  }
}

interface TestEngine {
  engine: Engine;
  modelId: string;
  store: MemoryStore;
}

type ImportOptions = Pick<ImportInputs, 'maxMatrixBytes'>;

/** An engine on the GPU with a store that holds one synthetic model. The model is not loaded yet. */
export const engineWith = (options: SynthOptions, more?: ImportOptions): Promise<TestEngine> =>
  engineWithFile(synthBytes(options), more);

/** As {@link engineWith}, with the model of any file. */
export async function engineWithFile(file: Uint8Array<ArrayBuffer>, more: ImportOptions = {}): Promise<TestEngine> {
  const store = new MemoryStore();
  const { id } = await importSource(store, memorySource(file), more);
  return { engine: new GpuEngine(store), modelId: id, store };
}

/** How long {@link holdReads} delays a read: long enough for the engine to submit whatever does not depend on it. */
const HOLD_MS = 40;

/**
 * Delays the reads of some records, until `vi.restoreAllMocks()`.
 * @param whileHeld called after the delay of a read that was the only delayed one, with the number of GPU submissions
 * since the read was requested
 */
export function holdReads(
  store: MemoryStore,
  isHeld: (key: string) => boolean,
  whileHeld: (submitted: number) => void | Promise<void>,
): void {
  const submit = vi.spyOn(GPUQueue.prototype, 'submit');
  const read = store.readPartsVerified.bind(store);
  const holds = new Set<{ alone: boolean }>();
  vi.spyOn(store, 'readPartsVerified').mockImplementation(async (id, record) => {
    if (isHeld(record.key)) {
      const hold = { alone: holds.size === 0 };
      for (const other of holds) other.alone = false;
      holds.add(hold);
      const before = submit.mock.calls.length;
      await new Promise((resolve) => setTimeout(resolve, HOLD_MS));
      if (hold.alone) await whileHeld(submit.mock.calls.length - before);
      holds.delete(hold);
    }
    return read(id, record);
  });
}
