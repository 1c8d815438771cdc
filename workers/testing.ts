/** For tests of the whole engine: synthetic models, imported into memory. */
import { Engine } from './engine.ts';
import { createSynth, type SynthOptions } from './gguf/synth/synth.ts';
import { BlobByteSource } from './storage/byte-source.ts';
import { type ImportInputs, importModel } from './storage/importer.ts';
import { MemoryStore } from './storage/memory-store.ts';

/** The whole file. */
export const synthBlob = (options: SynthOptions): Blob => {
  const synth = createSynth(options);
  return new Blob([synth.read(0, synth.size)]);
};

/** An engine over a store that holds this one model; nothing is loaded yet. */
export async function engineWith(
  options: SynthOptions, more: Pick<ImportInputs, 'maxMatrixBytes'> = {},
): Promise<{ engine: Engine; modelId: string; store: MemoryStore }> {
  const store = new MemoryStore();
  const { id } = await importModel({
    store, source: new BlobByteSource(synthBlob(options), 'synthetic.gguf'), kind: 'file',
    signal: new AbortController().signal, onProgress: () => {}, preflight: async () => undefined, ...more,
  });
  return { engine: new Engine(store), modelId: id, store };
}
