/** Reads the header of a GGUF and plans the records that it will become. Stores nothing. */
import type { ModelConfig } from '../../src/contract/import-api.ts';
import { readConfig } from '../format/gguf/config.ts';
import { type GgufHeader, readHeader } from '../format/gguf/header.ts';
import { type ImportPlan, planImport } from '../format/gguf/plan.ts';
import { sha256Hex } from '../store/hash.ts';
import type { RecordStore } from '../store/store.ts';
import { type ContentSample, readSpread, readTensorSamples } from './content-samples.ts';
import type { ImportInputs } from './import-inputs.ts';
import { sameAsStored } from './same-as-stored.ts';

/** A source whose header has been read, and the records that it will become. */
export interface OpenedModel {
  header: GgufHeader;
  config: ModelConfig;
  plan: ImportPlan;
}

/** An opened model that is distinguished from all others. */
export interface IdentifiedModel extends OpenedModel {
  /** A hash over header, size and samples of all tensors: the same file has the same id, whatever its source. */
  id: string;
  /** Samples that are evenly spread over the file. */
  spread: readonly ContentSample[];
  /** A sample of every tensor; none of the built-in model. */
  samples: readonly ContentSample[];
}

/**
 * Reads the header of a GGUF and plans its records.
 * @throws MixtabError what reading and parsing the header throws
 */
export async function openModel({
  source,
  signal,
  maxMatrixBytes,
}: Pick<ImportInputs, 'source' | 'signal' | 'maxMatrixBytes'>): Promise<OpenedModel> {
  const header = await readHeader(source, signal);
  const config = readConfig(source.name, header.metadata);
  return { header, config, plan: planImport(source.name, header, config, maxMatrixBytes) };
}

/**
 * Computes a model's id. Models and interrupted imports of earlier versions keep their ids, if they are of this file.
 * @throws MixtabError what reading the source throws
 */
export async function identifyModel(
  { source, store, kind, signal }: Pick<ImportInputs, 'source' | 'store' | 'kind' | 'signal'>,
  opened: OpenedModel,
): Promise<IdentifiedModel> {
  const { metadata, tensors, fileBytes } = opened.header;
  const spread = await readSpread(source, opened.header, signal);
  const earlierId = await idOf([metadata, tensors, fileBytes, spread.map(({ bytes }) => [...bytes])]);
  // The built-in model comes with the page. Its samples would take as many requests as its import.
  if (kind === 'builtin') return { ...opened, id: earlierId, spread, samples: [] };
  const samples = await readTensorSamples(source, opened.header, signal);
  const id = await idOf([earlierId, samples.map(({ bytes }) => [...bytes])]);
  const identified = { ...opened, spread, samples };
  return { ...identified, id: (await isStoredAs(store, earlierId, identified)) ? earlierId : id };
}

/** Whether this file is stored, completely or in part, under an id of an earlier version. */
async function isStoredAs(
  store: RecordStore,
  id: string,
  { plan, samples }: Pick<IdentifiedModel, 'plan' | 'samples'>,
): Promise<boolean> {
  const stored = (await store.getManifest(id)) ?? (await store.getJournal(id));
  return stored !== undefined && sameAsStored(store, { id, stored: stored.records }, plan.records, samples);
}

const idOf = async (identity: unknown): Promise<string> =>
  (await sha256Hex(new TextEncoder().encode(JSON.stringify(identity)))).slice(0, 16);
