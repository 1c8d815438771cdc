/** Helpers for tests of imports: a tiny synthetic model, and a source that counts what is read. */
import type { MemoryStore } from '../store/memory-store.ts';
import { SYNTH_PRESETS } from '../synth/presets.ts';
import { createSynth, type SynthOptions } from '../synth/synth.ts';
import { BlobByteSource, type ByteSource } from './byte-source.ts';
import type { ImportInputs } from './import-inputs.ts';
import { importModel } from './importer.ts';

export const TINY: SynthOptions = SYNTH_PRESETS.tiny;

const files = new WeakMap<SynthOptions, Blob>();

/** The file of a synthetic model, made once for all calls with the same object. */
function fileOf(options: SynthOptions): Blob {
  const known = files.get(options);
  if (known) return known;
  const synth = createSynth(options);
  const file = new Blob([synth.read(0, synth.size)]);
  files.set(options, file);
  return file;
}

export const sourceOf = (options: SynthOptions): BlobByteSource => new BlobByteSource(fileOf(options), 'tiny.gguf');

/** Imports a file as a user's local one, unless `more` says otherwise. */
export const importSource = (store: MemoryStore, source: ByteSource, more: Partial<ImportInputs> = {}) =>
  importModel({
    store,
    source,
    kind: 'file',
    signal: new AbortController().signal,
    onProgress: () => {},
    preflight: async () => undefined,
    ...more,
  });

/** Imports a synthetic model, by default each record in a transaction of its own. */
export const importTiny = (store: MemoryStore, options: SynthOptions, more: Partial<ImportInputs> = {}) => {
  const { source = sourceOf(options), onProgress = () => {} } = more;
  return importSource(store, source, {
    batchBytes: 0,
    ...more,
    onProgress(progress) {
      if (source instanceof CountingSource && progress.phase === 'records') source.counting = true;
      onProgress(progress);
    },
  });
};

/** Counts the bytes of weights that are read for records. */
export class CountingSource extends BlobByteSource {
  /** False while the header and the samples are read. */
  counting = false;
  bytes = 0;
  override async read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    if (this.counting && length > 1024) this.bytes += length; // not the samples at the end
    return super.read(offset, length, signal);
  }
}

export const countingSource = (options: SynthOptions): CountingSource =>
  new CountingSource(fileOf(options), 'tiny.gguf');
