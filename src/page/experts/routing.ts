/** What a scored text's trace says (Mixtral's paper, section 5): each token's experts, and what chance would give. Pure. */
import type { ScoreResult } from '../../contract/engine-api.ts';

/** A token with the experts it chose in one layer. */
export interface TokenRouting {
  /** Empty where it begins a window, or is part of a character whose last token shows it. */
  text: string;
  /** The likeliest first. */
  experts: number[];
}

/** Share of consecutive tokens that would have the same first choice if experts were drawn at random. */
export const chanceOfSame = (expertCount: number): number => 1 / expertCount;

/** The same for any of the `used` experts of a token to be among those of the one before: 1 - C(E-k, k) / C(E, k). */
export function chanceOfCommon(expertCount: number, used: number): number {
  let none = 1;
  for (let i = 0; i < used; i++) none *= Math.max(0, expertCount - used - i) / (expertCount - i);
  return 1 - none;
}

/** The tokens of a trace with what they chose in one layer. */
export function tokensAt(
  { pieces, selectedExperts }: NonNullable<ScoreResult['trace']>,
  layer: number,
  layerCount: number,
): TokenRouting[] {
  const used = selectedExperts.length / (pieces.length * layerCount);
  return pieces.map((text, token) => {
    const at = (token * layerCount + layer) * used;
    return { text, experts: [...selectedExperts.subarray(at, at + used)] };
  });
}

/**
 * What stands for a token on the page: what would not be seen gets a sign. A space in front goes with its word to the next
 * line, or its colour would stay behind alone.
 */
export function visible(text: string): string {
  if (text === '') return '·';
  return text
    .replaceAll('\n', '↵\n')
    .replaceAll('\t', '⇥\t')
    .replace(/^ (?=\S)/, '\u200b\u00a0');
}

/** A token as it is said. */
export function spoken({ text, experts }: TokenRouting): string {
  const what =
    text === ''
      ? 'no text of its own'
      : text.trim() === ''
        ? ({ ' ': 'space', '\n': 'new line' }[text] ?? 'blank')
        : `“${text.trim()}”`;
  const [first, ...others] = experts;
  return `${what}: expert ${first}${others.length > 0 ? `, then ${others.join(', ')}` : ''}`;
}

export const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)} %`;
