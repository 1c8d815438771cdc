/** Everything in a model's manifest that is known before its records are stored. */
import { excerpt, MixtabError } from '../../src/contract/errors.ts';
import type { ModelConfig } from '../../src/contract/import-api.ts';
import { Metadata } from '../format/gguf/metadata.ts';
import type { ImportPlan } from '../format/gguf/plan.ts';
import { readTokenizer } from '../format/gguf/tokenizer-data.ts';
import type { ModelManifest } from '../format/manifest.ts';
import { dequantize } from '../format/quantization/dequantize.ts';
import { LAYOUT_VERSION } from '../format/weight-layout.ts';
import type { ImportInputs } from './import-inputs.ts';
import type { IdentifiedModel } from './open-model.ts';

/** Longest name or licence, and longest description, in characters. They are shown in lists of models. */
const MAX_NAME = 200;
const MAX_DESCRIPTION = 2000;

/** A manifest without its records and the time of import. */
export type ManifestFacts = Omit<ModelManifest, 'records' | 'importedAt'>;

/** Reads from the header everything that the manifest needs besides records and time of import. */
export async function readManifestFacts(
  inputs: ImportInputs,
  { id, header, config, plan }: IdentifiedModel,
): Promise<ManifestFacts> {
  const { source, sourceUrl, kind, embedder } = inputs;
  const metadata = new Metadata(header.metadata);
  return {
    id,
    layoutVersion: LAYOUT_VERSION,
    name: excerpt(metadata.string('general.name', '').trim() || source.name.replace(/\.gguf$/i, ''), MAX_NAME),
    origin: source.name,
    ...(sourceUrl !== undefined && { sourceUrl }),
    source: kind,
    ...(embedder !== undefined && { embedder }),
    state: 'complete',
    config: await withRopeFactors(inputs, plan, config),
    parameterCount: plan.parameterCount,
    activeParameterCount: plan.activeParameterCount,
    typeShares: plan.typeShares,
    ...(metadata.has('general.license') && { license: excerpt(metadata.string('general.license'), MAX_NAME) }),
    ...(metadata.has('general.description') && {
      description: excerpt(metadata.string('general.description'), MAX_DESCRIPTION),
    }),
    tokenizer: readTokenizer(source.name, header.metadata),
  };
}

/**
 * Adds the factors in `rope_freqs.weight` to the config. They are few and the CPU needs them, so they belong in the
 * manifest rather than in a record.
 * @throws MixtabError `gguf-damaged` if a factor is not a positive number
 */
async function withRopeFactors(
  { source, signal }: ImportInputs,
  { ropeFactors }: ImportPlan,
  config: ModelConfig,
): Promise<ModelConfig> {
  if (!ropeFactors) return config;
  const raw = await source.read(ropeFactors.offset, ropeFactors.bytes, signal);
  const factors = [...dequantize(ropeFactors.sourceType.name, raw)];
  const invalid = factors.find((factor) => !(factor > 0 && Number.isFinite(factor)));
  if (invalid === undefined) return { ...config, ropeFactors: factors };
  throw new MixtabError(
    'gguf-damaged',
    `${source.name} is damaged: ${excerpt(ropeFactors.source)} contains ${invalid}.`,
    'Use another file.',
  );
}
