/**
 * A model of any size without a file: its manifest comes from the header of a synthetic GGUF, and all records of the
 * same layout share one buffer of random weights.
 */
import { ModelRecords } from '../compute/model-records.ts';
import type { ModelManifest, RecordInfo } from '../format/manifest.ts';
import type { RecordParts } from '../format/record-parts.ts';
import { onePart } from '../format/record-parts.ts';
import { pendingRecordInfo } from '../import/build-record.ts';
import type { ByteSource } from '../import/byte-source.ts';
import { readManifestFacts } from '../import/manifest-facts.ts';
import { openModel } from '../import/open-model.ts';
import { MemoryStore } from '../store/memory-store.ts';
import { createSynth, type SynthOptions } from '../synth/synth.ts';
import { fillOnes, fillRandom } from './random-weights.ts';

/** Factors on the weights, as in synthetic models: a router with clear winners, and an output with a clear best token. */
const GAINS: Record<string, number> = { ffn_gate_inp: 3, output: 3 };

/** The records of a model, which cost no reading. */
export async function syntheticRecords(options: SynthOptions): Promise<ModelRecords> {
  const synth = createSynth(options);
  const source: ByteSource = {
    name: 'synthetic.gguf',
    size: synth.size,
    read: async (offset, length) => synth.read(offset, length),
  };
  const signal = new AbortController().signal;
  const opened = await openModel({ source, signal });
  const facts = await readManifestFacts(
    { source, signal, store: new MemoryStore(), kind: 'file', onProgress: () => {}, preflight: async () => undefined },
    { ...opened, id: 'synthetic', spread: [], samples: [] },
  );
  const records = opened.plan.records.map((record) => pendingRecordInfo(record));
  const manifest: ModelManifest = { ...facts, importedAt: 0, records };
  const made = new Map<string, RecordParts>();
  return new ModelRecords({ read: async (_id, record) => ({ ...sharedRecord(made, record) }) }, manifest);
}

/** The record's weights: those of any record with the same layout. */
function sharedRecord(made: Map<string, RecordParts>, { bytes, tensors }: RecordInfo): RecordParts {
  const key = JSON.stringify(tensors);
  let record = made.get(key);
  if (!record) {
    const weights = new Uint8Array(bytes);
    for (const layout of tensors) {
      if (layout.name.endsWith('norm')) fillOnes(weights, layout);
      else if (layout.name === 'token_embd') fillRandom(weights, layout, 1);
      else fillRandom(weights, layout, (GAINS[layout.name] ?? 1) / Math.sqrt(layout.cols));
    }
    record = onePart(weights);
    made.set(key, record);
  }
  return record;
}
