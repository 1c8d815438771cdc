/** Describes a model from its header, without importing it. */
import { excerpt } from '../../../src/contract/errors.ts';
import type { ModelInspection } from '../../../src/contract/import-api.ts';
import { readConfig } from './config.ts';
import { figuresOf } from './figures.ts';
import { type GgufHeader, ggmlTypeName, type ReadableFile, readHeader, tensorBytes } from './header.ts';
import { Metadata } from './metadata.ts';
import { planImport } from './plan.ts';
import { readTokenizer } from './tokenizer-data.ts';

/**
 * Describes a model from the header of its file, without importing it.
 * @throws MixtabError what {@link readHeader} and {@link inspectHeader} throw
 */
export async function inspectFile(file: ReadableFile, signal?: AbortSignal): Promise<ModelInspection> {
  return inspectHeader(file.name, await readHeader(file, signal));
}

/**
 * Describes a model from its header, without importing it.
 * @throws MixtabError what {@link readConfig}, {@link readTokenizer} and {@link planImport} throw
 */
export function inspectHeader(name: string, header: GgufHeader): ModelInspection {
  const metadata = new Metadata(header.metadata);
  const config = readConfig(name, header.metadata);
  const tokenizer = readTokenizer(name, header.metadata);
  const plan = planImport(name, header, config);
  const weightBytes = header.tensors.reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
  return {
    architecture: metadata.string('general.architecture'),
    name: excerpt(metadata.string('general.name', name), 200),
    ...(metadata.has('general.license') && { license: excerpt(metadata.string('general.license'), 200) }),
    config,
    fileBytes: header.fileBytes,
    parameterCount: plan.parameterCount,
    activeParameterCount: plan.activeParameterCount,
    bitsPerWeight: (weightBytes * 8) / plan.parameterCount,
    bytesPerToken: plan.bytesPerToken,
    figures: figuresOf(
      plan.records.map(({ tensors }) => ({ tensors: tensors.map(({ layout }) => layout) })),
      config,
    ),
    hasChatTemplate: tokenizer.chatTemplate !== undefined,
    tokenizer: { model: tokenizer.model, tokens: tokenizer.tokens.length },
    layout: plan.layout,
    tensors: header.tensors.map((tensor) => ({
      name: tensor.name,
      type: ggmlTypeName(tensor.ggmlType),
      shape: tensor.shape,
      bytes: tensorBytes(tensor),
    })),
    records: plan.records.map(({ key, bytes, tensors }) => ({
      key,
      bytes,
      tensors: tensors.map(({ source }) => source),
    })),
  };
}
