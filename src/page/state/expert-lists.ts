/**
 * Lists of experts as short texts, for addresses and for the command line: `3` is expert 3 in every layer, `1.3` expert
 * 3 of layer 1, `3=5` expert 5 in place of expert 3, `*=5` in place of every one. Entries are separated by commas.
 * Pure.
 */
import type { AblationOptions } from '../../contract/engine-api.ts';

type Banned = NonNullable<AblationOptions['banned']>;
type Replaced = NonNullable<AblationOptions['replaced']>;

/** @returns the experts, or undefined if the text is no such list. Whether they exist is not checked. */
export function parseBanned(text: string): Banned | undefined {
  return parseList(text, /^(?:(\d{1,6})\.)?(\d{1,6})$/, ([, layer, expert]) => ({
    ...(layer !== undefined && { layer: Number(layer) }),
    expert: Number(expert),
  }));
}

/** @returns the replacements, or undefined if the text is no such list. Whether the experts exist is not checked. */
export function parseReplaced(text: string): Replaced | undefined {
  return parseList(text, /^(?:(\d{1,6})\.)?(\d{1,6}|\*)=(\d{1,6})$/, ([, layer, expert, by]) => ({
    ...(layer !== undefined && { layer: Number(layer) }),
    ...(expert !== '*' && { expert: Number(expert) }),
    by: Number(by),
  }));
}

function parseList<T>(text: string, entry: RegExp, convert: (match: string[]) => T): T[] | undefined {
  const matches = text.split(',').map((part) => entry.exec(part.trim()));
  return matches.includes(null) ? undefined : matches.map((match) => convert(match!));
}

/** @returns the text that {@link parseBanned} reads */
export const bannedText = (banned: Banned): string =>
  banned.map(({ layer, expert }) => (layer === undefined ? String(expert) : `${layer}.${expert}`)).join(',');
