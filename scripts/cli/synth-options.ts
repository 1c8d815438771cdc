/** Translates the options of `synth` into a description of the model. */
import { MixtabError } from '../../src/contract/errors.ts';
import { WEIGHT_TYPES, type WeightTypeName } from '../../workers/format/weight-layout.ts';
import { MISTRAL_TEMPLATE, SYNTH_PRESETS } from '../../workers/synth/presets.ts';
import type { SynthOptions } from '../../workers/synth/synth.ts';
import type { Options } from './options.ts';

const bad = (message: string, remedy: string): MixtabError => new MixtabError('bad-request', message, remedy);

function typeOf(option: string, name: string): WeightTypeName {
  if (name in WEIGHT_TYPES) return name as WeightTypeName;
  throw bad(
    `--${option} ${name} is not a weight type that mixtab can generate.`,
    `Use one of ${Object.keys(WEIGHT_TYPES).join(', ')}.`,
  );
}

/** @throws MixtabError `bad-request` */
export function synthOptions(options: Options<'synth'>): SynthOptions {
  const preset = options.preset ?? 'tiny';
  if (!(preset in SYNTH_PRESETS))
    throw bad(`There is no preset ${preset}.`, `Use one of ${Object.keys(SYNTH_PRESETS).join(', ')}.`);
  const base: SynthOptions = SYNTH_PRESETS[preset as keyof typeof SYNTH_PRESETS];
  const layout = options.layout ?? base.layout;
  if (layout !== 'merged' && layout !== 'per-expert' && layout !== 'fused') {
    throw bad(`There is no layout ${layout}.`, 'Use merged, per-expert or fused.');
  }
  const all = options.type === undefined ? undefined : typeOf('type', options.type);
  const pick = (
    option: 'attention-type' | 'down-type' | 'embedding-type' | 'output-type',
    role: keyof SynthOptions['types'],
  ): WeightTypeName => {
    const name = options[option];
    return name === undefined ? (all ?? base.types[role]) : typeOf(option, name);
  };
  const { chatTemplate: _template, ...rest } = base;
  return {
    ...rest,
    layers: options.layers ?? base.layers,
    embeddingLength: options.dim ?? base.embeddingLength,
    feedForwardLength: options.ffn ?? base.feedForwardLength,
    headCount: options.heads ?? base.headCount,
    kvHeadCount: options['kv-heads'] ?? base.kvHeadCount,
    ...(options['head-dim'] !== undefined && { headDim: options['head-dim'] }),
    expertCount: options.experts ?? base.expertCount,
    expertsPerToken: options.used ?? base.expertsPerToken,
    vocabularySize: options.vocab ?? base.vocabularySize,
    ...(options.pre !== undefined && { pre: options.pre }),
    ...(options['no-space-prefix'] && { spacePrefix: false }),
    ...(options['user-defined'] !== undefined && { userDefined: options['user-defined'].split(',') }),
    contextLength: options.context ?? base.contextLength,
    seed: options.seed ?? base.seed,
    ...(options['residual-scale'] !== undefined && { residualScale: options['residual-scale'] }),
    layout,
    types: {
      attention: pick('attention-type', 'attention'),
      experts: all ?? base.types.experts,
      down: pick('down-type', 'down'),
      embedding: pick('embedding-type', 'embedding'),
      output: pick('output-type', 'output'),
      router: options['router-type'] === undefined ? 'F32' : typeOf('router-type', options['router-type']),
    },
    ...(options.chat && { chatTemplate: MISTRAL_TEMPLATE }),
    ...(options['f32-twin'] && { f32Twin: true }),
  };
}
