/** Python's methods of texts, which keep the origin of every character. */
import type { Budget } from './budget.ts';
import { Text } from './text.ts';
import { type Arguments, argument, integerArgument, List, textArgument, typeName, type Value } from './values.ts';

/** Python's white space. JavaScript's `\s` has U+FEFF in addition, and lacks some control characters. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: Python counts them as white space
const BLANK = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;
const BLANKS = new RegExp(`${BLANK.source}+`, 'g');

/** A method of a text. It pays for its result; what it reads was paid for by its caller. */
type TextMethod = (text: Text, args: Arguments, budget: Budget) => Value;

/** Most characters that may be named for stripping. Attack: a set of millions. Real templates name one or two. */
const MAX_STRIPPED = 1000;

/** A text without these characters at its ends. `characters` is a text of single characters; undefined: white space. */
export function strip(text: Text, characters: Value, ends: 'both' | 'left' | 'right' = 'both'): Text {
  const set = characters instanceof Text ? new Set(characters.plain.slice(0, MAX_STRIPPED)) : undefined;
  const isStripped = (character: string): boolean => (set ? set.has(character) : BLANK.test(character));
  const { plain } = text;
  let [start, end] = [0, plain.length];
  if (ends !== 'right') while (start < end && isStripped(plain[start])) start++;
  if (ends !== 'left') while (end > start && isStripped(plain[end - 1])) end--;
  return text.slice(start, end);
}

/** Longest text that is searched by the browser, whose worst case is the product of both lengths. */
const MAX_NATIVE_SEARCH = 32;

/** JavaScript's `indexOf` in linear time (Knuth, Morris and Pratt). Attack: a long text of equal letters. */
export function indexOf(plain: string, wanted: string, from = 0): number {
  if (wanted.length <= MAX_NATIVE_SEARCH) return plain.indexOf(wanted, from);
  if (wanted.length > plain.length - from) return -1;
  // How many characters still match if the character after this many does not.
  const fallback = new Int32Array(wanted.length + 1);
  for (let i = 1, matching = 0; i < wanted.length; i++) {
    while (matching > 0 && wanted[i] !== wanted[matching]) matching = fallback[matching];
    if (wanted[i] === wanted[matching]) matching++;
    fallback[i + 1] = matching;
  }
  for (let i = from, matching = 0; i < plain.length; i++) {
    while (matching > 0 && plain[i] !== wanted[matching]) matching = fallback[matching];
    if (plain[i] === wanted[matching]) matching++;
    if (matching === wanted.length) return i + 1 - wanted.length;
  }
  return -1;
}

/** JavaScript's `lastIndexOf` in linear time. */
function lastIndexOf(plain: string, wanted: string): number {
  if (wanted.length <= MAX_NATIVE_SEARCH) return plain.lastIndexOf(wanted);
  const reversed = (text: string): string => text.split('').reverse().join('');
  const found = indexOf(reversed(plain), reversed(wanted));
  return found < 0 ? -1 : plain.length - found - wanted.length;
}

/** Python's `replace`. @param count the most replacements; negative: all */
export function replace(text: Text, from: Text, to: Text, count: number, budget: Budget): Text {
  const limit = count < 0 ? Number.POSITIVE_INFINITY : count;
  const parts: Text[] = [];
  let at = 0;
  let done = 0;
  // An empty text is found before every character, and at the end.
  for (let found = indexOf(text.plain, from.plain); found >= 0 && done < limit; done++) {
    budget.allocateItems(2);
    budget.allocate(found - at + to.cost + text.stretches.length);
    parts.push(text.slice(at, found), to);
    at = found + from.plain.length;
    if (found >= text.plain.length) break;
    budget.scan(from.plain.length);
    found = indexOf(text.plain, from.plain, from.plain === '' ? found + 1 : at);
  }
  return Text.concat([...parts, text.slice(at)]);
}

/** Cuts a text at a separator. @param limit the most cuts; negative: any number */
function splitAt(text: Text, separator: Text, limit: number, budget: Budget): Text[] {
  if (separator.plain === '') throw new Error('split needs a separator that is not empty');
  const parts: Text[] = [];
  let at = 0;
  for (;;) {
    const found = limit >= 0 && parts.length >= limit ? -1 : indexOf(text.plain, separator.plain, at);
    const part = text.slice(at, found < 0 ? undefined : found);
    budget.allocateItems(1);
    budget.allocate(part.plain.length + text.stretches.length + separator.plain.length);
    parts.push(part);
    if (found < 0) return parts;
    at = found + separator.plain.length;
  }
}

function splitAtBlanks(text: Text, limit: number, budget: Budget): Text[] {
  const parts: Text[] = [];
  const trimmed = strip(text, undefined, 'left');
  let at = 0;
  for (const { 0: blanks, index } of strip(trimmed, undefined, 'right').plain.matchAll(BLANKS)) {
    if (limit >= 0 && parts.length >= limit) break;
    budget.allocateItems(1);
    budget.allocate(index - at + text.stretches.length);
    parts.push(trimmed.slice(at, index));
    at = index + blanks.length;
  }
  const rest = strip(trimmed.slice(at), undefined, limit >= 0 ? 'left' : 'both');
  return rest.plain === '' ? parts : [...parts, rest];
}

/** Cuts from the right: `splitAt`, with all but the last `limit` cuts undone. */
function splitFromRight(text: Text, separator: Text, limit: number, budget: Budget): Text[] {
  const parts = splitAt(text, separator, -1, budget);
  if (limit < 0 || parts.length <= limit + 1) return parts;
  const kept = limit === 0 ? [] : parts.slice(-limit);
  const keptLength = kept.reduce((sum, { plain }) => sum + plain.length + separator.plain.length, 0);
  return [text.slice(0, text.plain.length - keptLength), ...kept];
}

const split =
  (cut: typeof splitAt): TextMethod =>
  (text, args, budget) => {
    const separator = argument(args, 0, 'sep');
    const limit = integerArgument(args, 1, 'maxsplit', -1);
    if (separator == null) return new List(splitAtBlanks(text, limit, budget));
    return new List(cut(text, textArgument(args, 0, 'sep'), limit, budget));
  };

/** `startswith` and `endswith`, which take a text or a tuple of texts. */
const hasAffix =
  (test: (plain: string, affix: string) => boolean): TextMethod =>
  (text, args, budget) => {
    const affix = argument(args, 0, 'prefix');
    const affixes = affix instanceof List ? affix.items : [affix];
    return affixes.some((one) => {
      budget.scan(text.plain.length);
      if (one instanceof Text) return test(text.plain, one.plain);
      throw new Error(`a text cannot begin or end with ${typeName(one)}`);
    });
  };

/** `partition` and `rpartition`: the parts before and after a separator, and the separator. */
const partition =
  (position: (plain: string, separator: string) => number, isWholeFirst: boolean): TextMethod =>
  (text, args) => {
    const separator = textArgument(args, 0, 'sep');
    const found = position(text.plain, separator.plain);
    const end = found + separator.plain.length;
    if (found >= 0) return new List([text.slice(0, found), separator, text.slice(end)], true);
    return new List(isWholeFirst ? [text, Text.EMPTY, Text.EMPTY] : [Text.EMPTY, Text.EMPTY, text], true);
  };

/** Upper case for the first letter of the text, lower case for the others. */
function capitalize(text: Text): Text {
  const length = text.plain.codePointAt(0)! > 0xffff ? 2 : 1;
  const first = text.slice(0, length).map((plain) => plain.toUpperCase());
  return Text.concat([first, text.slice(length).map((plain) => plain.toLowerCase())]);
}

/** Upper case for the first letter of every word, lower case for the others. */
function title(text: Text): Text {
  let isInWord = false;
  return text.map((plain) =>
    Array.from(plain, (character) => {
      const changed = isInWord ? character.toLowerCase() : character.toUpperCase();
      isInWord = /\p{L}/u.test(character);
      return changed;
    }).join(''),
  );
}

/** The items of a list with a separator between them. @throws Error if an item is not a text */
export function joinTexts(separator: Text, items: readonly Text[], budget: Budget): Text {
  const parts = items.flatMap((item, i) => (i === 0 || separator.plain === '' ? [item] : [separator, item]));
  budget.allocate(parts.reduce((sum, { cost }) => sum + cost, 0));
  return Text.concat(parts);
}

function joinMethod(separator: Text, args: Arguments, budget: Budget): Text {
  const list = argument(args, 0, 'iterable');
  if (!(list instanceof List)) throw new Error(`join needs a list, not ${typeName(list)}`);
  budget.allocateItems(list.items.length);
  const texts = list.items.map((item) => {
    if (item instanceof Text) return item;
    throw new Error(`join needs a list of texts, not ${typeName(item)}`);
  });
  return joinTexts(separator, texts, budget);
}

/** Number of code points before a position, which is what Python counts. */
const codePoints = (plain: string, end: number): number => Array.from(plain.slice(0, end)).length;

const find =
  (position: (plain: string, wanted: string) => number): TextMethod =>
  (text, args) => {
    const found = position(text.plain, textArgument(args, 0, 'sub').plain);
    return found < 0 ? -1 : codePoints(text.plain, found);
  };

const isMade =
  (pattern: RegExp): TextMethod =>
  (text) =>
    pattern.test(text.plain);

function splitLines(text: Text, _args: Arguments, budget: Budget): List {
  const lines = splitAt(replace(text, new Text('\r\n'), new Text('\n'), -1, budget), new Text('\n'), -1, budget);
  return new List(lines.at(-1)!.plain === '' ? lines.slice(0, -1) : lines);
}

/** The methods by their names. */
const TEXT_METHODS = new Map<string, TextMethod>([
  ['upper', (text) => text.map((plain) => plain.toUpperCase())],
  ['lower', (text) => text.map((plain) => plain.toLowerCase())],
  ['strip', (text, args) => strip(text, argument(args, 0, 'chars'))],
  ['lstrip', (text, args) => strip(text, argument(args, 0, 'chars'), 'left')],
  ['rstrip', (text, args) => strip(text, argument(args, 0, 'chars'), 'right')],
  ['title', title],
  ['capitalize', (text) => (text.plain === '' ? text : capitalize(text))],
  ['startswith', hasAffix((plain, affix) => plain.startsWith(affix))],
  ['endswith', hasAffix((plain, affix) => plain.endsWith(affix))],
  ['split', split(splitAt)],
  ['rsplit', split(splitFromRight)],
  ['splitlines', splitLines],
  ['partition', partition(indexOf, true)],
  ['rpartition', partition(lastIndexOf, false)],
  [
    'replace',
    (text, args, budget) => {
      const count = integerArgument(args, 2, 'count', -1);
      return replace(text, textArgument(args, 0, 'old'), textArgument(args, 1, 'new'), count, budget);
    },
  ],
  [
    'removeprefix',
    (text, args) => {
      const { plain } = textArgument(args, 0, 'prefix');
      return text.plain.startsWith(plain) ? text.slice(plain.length) : text;
    },
  ],
  [
    'removesuffix',
    (text, args) => {
      const { plain } = textArgument(args, 0, 'suffix');
      return text.plain.endsWith(plain) ? text.slice(0, text.plain.length - plain.length) : text;
    },
  ],
  ['join', joinMethod],
  ['find', find(indexOf)],
  ['rfind', find(lastIndexOf)],
  ['count', (text, args, budget) => splitAt(text, textArgument(args, 0, 'sub'), -1, budget).length - 1],
  ['isdigit', isMade(/^\p{Nd}+$/u)],
  ['isalpha', isMade(/^\p{L}+$/u)],
  ['isalnum', isMade(/^[\p{L}\p{N}]+$/u)],
  ['isspace', isMade(new RegExp(`^${BLANK.source}+$`))],
  ['isupper', (text) => text.plain !== text.plain.toLowerCase() && text.plain === text.plain.toUpperCase()],
  ['islower', (text) => text.plain !== text.plain.toUpperCase() && text.plain === text.plain.toLowerCase()],
]);

/** Calls a method of a text, or returns undefined if there is none of this name. Pays for reading the text. */
export function textMethod(text: Text, name: string, budget: Budget): ((args: Arguments) => Value) | undefined {
  const method = TEXT_METHODS.get(name);
  if (!method) return undefined;
  return (args) => {
    budget.allocate(text.cost);
    return method(text, args, budget);
  };
}

/** The characters of a text, as Python counts them, each as a text. Pays for them. */
export function charactersOf(text: Text, budget: Budget): Text[] {
  budget.allocateItems(text.plain.length);
  budget.step((text.plain.length * text.stretches.length) / 8);
  let at = 0;
  return Array.from(text.plain, (character) => {
    at += character.length;
    return text.slice(at - character.length, at);
  });
}
