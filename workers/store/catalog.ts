/** The entry of a stored model in lists of models. */
import type { ModelSummary } from '../../src/contract/import-api.ts';
import { figuresOf } from '../format/gguf/figures.ts';
import type { ModelManifest } from '../format/manifest.ts';
import { LAYOUT_VERSION } from '../format/weight-layout.ts';

/** Derives the list entry from a manifest. */
export function summarize(manifest: ModelManifest): ModelSummary {
  const {
    id,
    name,
    origin,
    config,
    parameterCount,
    activeParameterCount,
    typeShares,
    license,
    description,
    importedAt,
    embedder,
  } = manifest;
  return {
    id,
    name,
    origin,
    storedBytes: manifest.records.reduce((sum, { bytes }) => sum + bytes, 0),
    // Records of another layout version cannot be run. Importing the model again replaces them.
    state: manifest.layoutVersion === LAYOUT_VERSION ? manifest.state : 'damaged',
    config,
    parameterCount,
    activeParameterCount,
    typeShares,
    figures: figuresOf(manifest.records, config),
    ...(license !== undefined && { license }),
    ...(description !== undefined && { description }),
    hasChatTemplate: manifest.tokenizer.chatTemplate !== undefined,
    importedAt,
    ...(embedder !== undefined && { embedder }),
  };
}
