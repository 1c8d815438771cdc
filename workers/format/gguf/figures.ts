/** Adds up the sizes of a model's records by part of the model. */
import type { ModelConfig, ModelFigures, ModelPart } from '../../../src/contract/import-api.ts';
import type { TensorLayout } from '../weight-layout.ts';

/** The part of the model that each tensor of a record belongs to. */
const PART_OF: Record<string, ModelPart> = {
  gate: 'experts',
  up: 'experts',
  down: 'experts',
  attn_q: 'attention',
  attn_k: 'attention',
  attn_v: 'attention',
  attn_output: 'attention',
  ffn_gate_inp: 'router',
  attn_norm: 'norms',
  ffn_norm: 'norms',
  output_norm: 'norms',
  token_embd: 'embedding',
  output: 'output',
};

/**
 * Adds up the sizes of a model's weights by part of the model.
 * @param records of the whole model. The output is counted even if it is a second copy of the embedding.
 */
export function figuresOf(records: readonly { tensors: readonly TensorLayout[] }[], config: ModelConfig): ModelFigures {
  const parts = new Map<ModelPart, { parameters: number; bytes: number; byType: Map<string, number> }>();
  for (const { name, type, rows, cols, bytes } of records.flatMap(({ tensors }) => tensors)) {
    const part = PART_OF[name] ?? 'norms';
    const sums = parts.get(part) ?? { parameters: 0, bytes: 0, byType: new Map<string, number>() };
    parts.set(part, sums);
    sums.parameters += rows * cols;
    sums.bytes += bytes;
    sums.byType.set(type, (sums.byType.get(type) ?? 0) + rows * cols);
  }
  const bytesOf = (part: ModelPart): number => parts.get(part)?.bytes ?? 0;
  const total = [...parts.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  const weights = [...parts.values()].reduce((sum, { parameters }) => sum + parameters, 0);
  const denseBytes = total - bytesOf('experts');
  const expertBytes = bytesOf('experts') / (config.layerCount * config.expertCount);
  return {
    parts: [...parts]
      .map(([part, { parameters, bytes, byType }]) => ({
        part,
        parameters,
        bytes,
        types: Object.fromEntries(
          [...byType].sort(([, a], [, b]) => b - a).map(([type, count]) => [type, count / parameters]),
        ),
      }))
      .sort((a, b) => b.bytes - a.bytes),
    denseBytes,
    expertBytes,
    bytesPerToken: denseBytes - bytesOf('embedding') + config.layerCount * config.expertsPerToken * expertBytes,
    bitsPerWeight: (total * 8) / weights,
  };
}
