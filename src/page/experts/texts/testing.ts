/** Comparisons of made-up traces, for tests. */
import type { LayerRouting } from '../../../contract/engine-api.ts';
import type { ModelConfig } from '../../../contract/import-api.ts';
import type { Comparison } from '../../state/paper.ts';

/** A text as pieces with their experts `[token][layer][rank]`. */
export type TracedText = { name: string; tokens: { piece: string; experts: number[][] }[]; routing?: LayerRouting[] };

export function comparisonOf(texts: TracedText[], expertCount: number): Comparison {
  const [{ experts }] = texts[0].tokens;
  return {
    model: 'a',
    modelId: 'a',
    config: { layerCount: experts.length, expertsPerToken: experts[0].length, expertCount } as ModelConfig,
    texts: texts.map(({ name, tokens, routing = [] }) => ({
      name,
      tokens: tokens.length,
      perplexity: 1,
      routing,
      trace: {
        pieces: tokens.map(({ piece }) => piece),
        selectedExperts: Uint8Array.from(tokens.flatMap(({ experts: layers }) => layers.flat())),
      },
    })),
  };
}
