/** Helpers for tests of imports: a tiny synthetic model, and a source that counts what is read. */
import type { MemoryStore } from '../store/memory-store.ts';
import { SYNTH_PRESETS } from '../synth/presets.ts';
import { createSynth, type SynthOptions } from '../synth/synth.ts';
import { BlobByteSource } from './byte-source.ts';
import type { ImportInputs } from './import-inputs.ts';
import { importModel } from './importer.ts';

export const TINY: SynthOptions = SYNTH_PRESETS.tiny;

export function sourceOf(options: SynthOptions): BlobByteSource {
  const synth = createSynth(options);
  return new BlobByteSource(new Blob([synth.read(0, synth.size)]), 'tiny.gguf');
}

/** Imports a synthetic model, by default each record in a transaction of its own. */
export const importTiny = (store: MemoryStore, options: SynthOptions, more: Partial<ImportInputs> = {}) =>
  importModel({
    store,
    source: sourceOf(options),
    kind: 'file',
    signal: new AbortController().signal,
    onProgress: () => {},
    preflight: async () => undefined,
    batchBytes: 0,
    ...more,
  });

/** Counts the bytes of weights that are read. */
export class CountingSource extends BlobByteSource {
  bytes = 0;
  override async read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    if (length > 1024 && length < 1_000_000) this.bytes += length; // neither the samples nor the header
    return super.read(offset, length, signal);
  }
}

export const countingSource = (options: SynthOptions): CountingSource => {
  const synth = createSynth(options);
  return new CountingSource(new Blob([synth.read(0, synth.size)]), 'tiny.gguf');
};
