/** Reads the header of a GGUF and plans the records that it will become. Stores nothing. */
import type { Bytes } from '../../src/contract/ids.ts';
import type { ModelConfig } from '../../src/contract/import-api.ts';
import { readConfig } from '../format/gguf/config.ts';
import { type GgufHeader, readHeader } from '../format/gguf/header.ts';
import { type ImportPlan, planImport } from '../format/gguf/plan.ts';
import { sha256Hex } from '../store/hash.ts';
import type { ByteSource } from './byte-source.ts';
import type { ImportInputs } from './import-inputs.ts';

/** A source whose header has been read, and the records that it will become. */
export interface OpenedModel {
  id: string;
  header: GgufHeader;
  config: ModelConfig;
  plan: ImportPlan;
}

/**
 * Reads the header of a GGUF, plans its records, and computes the model's id.
 * @throws MixtabError what reading and parsing the header throws
 */
export async function openModel({
  source,
  signal,
  maxMatrixBytes,
}: Pick<ImportInputs, 'source' | 'signal' | 'maxMatrixBytes'>): Promise<OpenedModel> {
  const header = await readHeader(source, signal);
  const config = readConfig(source.name, header.metadata);
  const plan = planImport(source.name, header, config, maxMatrixBytes);
  return { id: await modelIdOf(source, header, signal), header, config, plan };
}

/**
 * Ranges of the weights, evenly spread over the file, that are part of the model's id. They distinguish files with the
 * same header, such as two checkpoints of the same training run.
 */
const SAMPLES = 16;
const SAMPLE_BYTES: Bytes = 1024;

/** A hash over header, size and samples of the weights: the same file has the same id, whatever its source. */
async function modelIdOf(
  source: ByteSource,
  { metadata, tensors, fileBytes }: GgufHeader,
  signal: AbortSignal,
): Promise<string> {
  const start = Math.min(...tensors.map(({ offset }) => offset));
  const samples = await Promise.all(
    Array.from({ length: SAMPLES }, async (_, n) => {
      const offset = Math.floor(start + ((fileBytes - start) * n) / SAMPLES);
      return [...(await source.read(offset, Math.min(SAMPLE_BYTES, fileBytes - offset), signal))];
    }),
  );
  const identity = JSON.stringify([metadata, tensors, fileBytes, samples]);
  return (await sha256Hex(new TextEncoder().encode(identity))).slice(0, 16);
}
