/** Whether experts specialise in kinds of text: figure 7 and table 5 of the Mixtral paper. Pure functions. */
import type { Comparison, ReadText } from '../../state/paper.ts';
import type { FigureTable } from '../figure/csv.ts';
import { differs, halfInterval, randomFrom } from '../figure/statistics.ts';
import { percent } from '../routing.ts';

/** One expert's share of the selections that a text makes in a layer. */
export interface ShareDot {
  expert: number;
  /** Index of the text. */
  text: number;
  share: number;
  /** The 95% interval; absent if the text is too short to say. */
  low?: number;
  high?: number;
  /** Whether the share differs from an equal share by more than noise explains. */
  differs: boolean;
}

/** The shares of all experts and texts in a layer, by expert, then by text. */
export function shareDots({ texts, config: { expertCount } }: Comparison, layer: number): ShareDot[] {
  const comparisons = expertCount * texts.length;
  return Array.from({ length: expertCount }, (_, expert) =>
    texts.map(({ routing }, text): ShareDot => {
      const { use, errors } = routing[layer];
      const share = use[expert];
      if (!errors) return { expert, text, share, differs: false };
      const half = halfInterval(errors.use[expert], errors.blocks);
      return {
        expert,
        text,
        share,
        low: Math.max(0, share - half),
        high: Math.min(1, share + half),
        differs: differs(share - 1 / expertCount, {
          standardError: errors.use[expert],
          blocks: errors.blocks,
          comparisons,
        }),
      };
    }),
  ).flat();
}

/** Tokens per block when blocks are shuffled among the texts. All blocks have this length, so any may take any place. */
const SHUFFLED_BLOCK = 32;
const SHUFFLES = 999;

/** How often chance makes texts differ as much as they do. */
export interface Shuffled {
  /** Shuffles in which the texts differed at least as much. */
  asLarge: number;
  shuffles: number;
}

/**
 * Shuffles blocks of tokens among the texts, and counts how often the texts then use the experts of a layer as
 * differently as they really do: a permutation test, with the same shuffles every time.
 * @returns undefined if there are fewer than two texts, or a text is shorter than two blocks
 */
export function shuffleTexts({ texts, config }: Comparison, layer: number): Shuffled | undefined {
  const blocks = texts.map(({ trace }) => blockUses(trace.selectedExperts, config, layer));
  if (texts.length < 2 || blocks.some(({ length }) => length < 2)) return undefined;
  const sizes = blocks.map(({ length }) => length);
  const all = blocks.flat();
  const real = spread(all, sizes);
  const random = randomFrom(layer + 1);
  let asLarge = 0;
  for (let i = 0; i < SHUFFLES; i++) {
    shuffle(all, random);
    if (spread(all, sizes) >= real * (1 - 1e-12)) asLarge++;
  }
  return { asLarge, shuffles: SHUFFLES };
}

/** @returns for each whole block of tokens how often each expert was selected */
function blockUses(
  selectedExperts: Uint8Array,
  { layerCount, expertsPerToken, expertCount }: Comparison['config'],
  layer: number,
): number[][] {
  const tokens = selectedExperts.length / (layerCount * expertsPerToken);
  return Array.from({ length: Math.floor(tokens / SHUFFLED_BLOCK) }, (_, block) => {
    const uses = new Array<number>(expertCount).fill(0);
    for (let token = block * SHUFFLED_BLOCK; token < (block + 1) * SHUFFLED_BLOCK; token++) {
      const start = (token * layerCount + layer) * expertsPerToken;
      for (let rank = 0; rank < expertsPerToken; rank++) uses[selectedExperts[start + rank]]++;
    }
    return uses;
  });
}

/** How different texts are: the squared distances of their uses from the mean, each text weighted by its blocks. */
function spread(blocks: readonly number[][], sizes: readonly number[]): number {
  const experts = blocks[0].length;
  const mean = new Array<number>(experts).fill(0);
  for (const uses of blocks) for (let e = 0; e < experts; e++) mean[e] += uses[e] / blocks.length;
  let start = 0;
  let sum = 0;
  for (const size of sizes) {
    for (let e = 0; e < experts; e++) {
      let uses = 0;
      for (let block = start; block < start + size; block++) uses += blocks[block][e];
      sum += size * (uses / size - mean[e]) ** 2;
    }
    start += size;
  }
  return sum;
}

/** Fisher-Yates, in place. */
function shuffle<T>(list: T[], random: () => number): void {
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [list[i], list[j]] = [list[j], list[i]];
  }
}

/** @returns a sentence that says whether the texts use the layer's experts differently */
export function shuffledSentence({ asLarge, shuffles }: Shuffled): string {
  const tries = `in ${asLarge} of ${shuffles} tries`;
  const test = 'When pieces of the texts are shuffled among them, they differ as much as the real ones';
  return asLarge / shuffles < 0.01
    ? `The texts use the experts of this layer differently. ${test} ${tries}.`
    : `No clear sign that the texts use the experts of this layer differently. ${test} ${tries}.`;
}

/** All shares in all layers. */
export function shareTable(comparison: Comparison): FigureTable {
  const layers = Array.from({ length: comparison.config.layerCount }, (_, layer) => layer);
  return {
    columns: ['Layer', 'Expert', 'Text', 'Share', '95% from', 'to', 'More than noise'],
    rows: layers.flatMap((layer) =>
      shareDots(comparison, layer).map(({ expert, text, share, low, high, differs: real }) => [
        layer,
        expert,
        comparison.texts[text].name,
        { value: share, text: percent(share) },
        low === undefined ? '' : { value: low, text: percent(low) },
        high === undefined ? '' : { value: high, text: percent(high) },
        real ? 'yes' : 'no',
      ]),
    ),
  };
}

/** Which repeats are shown. */
export type Repeats = 'first' | 'any';

/** How often consecutive tokens of a text repeat their experts in a layer. */
export interface RepeatPoint {
  layer: number;
  share: number;
  low?: number;
  high?: number;
  /** The share if the text's tokens were in random order. */
  random: number;
}

/** The repeats of a text in each layer. */
export function repeatPoints({ routing }: ReadText, repeats: Repeats): RepeatPoint[] {
  return routing.map(({ sameFirst, sameAny, randomFirst, randomAny, errors }, layer) => {
    const share = repeats === 'first' ? sameFirst : sameAny;
    const random = repeats === 'first' ? randomFirst : randomAny;
    if (!errors) return { layer, share, random };
    const half = halfInterval(repeats === 'first' ? errors.sameFirst : errors.sameAny, errors.blocks);
    return { layer, share, random, low: Math.max(0, share - half), high: Math.min(1, share + half) };
  });
}

/** All repeats of all texts. */
export function repeatTable({ texts }: Comparison, repeats: Repeats): FigureTable {
  return {
    columns: ['Text', 'Layer', 'Repeats', '95% from', 'to', 'In random order'],
    rows: texts.flatMap((text) =>
      repeatPoints(text, repeats).map(({ layer, share, low, high, random }) => [
        text.name,
        layer,
        { value: share, text: percent(share) },
        low === undefined ? '' : { value: low, text: percent(low) },
        high === undefined ? '' : { value: high, text: percent(high) },
        { value: random, text: percent(random) },
      ]),
    ),
  };
}
