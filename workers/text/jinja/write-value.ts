/** Values as texts: Python's `str` and `repr`, and JSON. Every value that is visited is paid for. */
import type { Budget } from './budget.ts';
import { Text } from './text.ts';
import { Dict, Float, List, Namespace, typeName, type Value } from './values.ts';

/** Collects the parts of a text and pays for them. */
class Parts {
  readonly #texts: Text[] = [];

  constructor(readonly budget: Budget) {}

  add(part: Text | string): void {
    const text = typeof part === 'string' ? new Text(part) : part;
    this.budget.allocate(text.cost + 8);
    this.#texts.push(text);
  }

  joined(): Text {
    return Text.concat(this.#texts);
  }
}

/** A value as `{{ ... }}` writes it: Python's `str`. */
export function textOf(value: Value, budget: Budget): Text {
  if (value instanceof Text) return value;
  if (value === undefined) return Text.EMPTY;
  const parts = new Parts(budget);
  writeRepr(value, parts);
  return parts.joined();
}

/** Python's `repr`. */
function writeRepr(value: Value, parts: Parts): void {
  parts.budget.step();
  if (value instanceof Text) parts.add(quoted(value));
  else if (value instanceof List) writeItems(value.items, value.isTuple ? '()' : '[]', parts, writeRepr, ', ');
  else if (value instanceof Dict || value instanceof Namespace) {
    if (value instanceof Namespace) parts.add('<Namespace ');
    writeItems(
      pairsOf(value),
      '{}',
      parts,
      ([key, item]) => {
        parts.add(quoted(key));
        parts.add(': ');
        writeRepr(item, parts);
      },
      ', ',
    );
    if (value instanceof Namespace) parts.add('>');
  } else parts.add(scalarText(value));
}

function scalarText(value: Value): string {
  if (value === undefined) return 'Undefined';
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'number') return integerText(value);
  return value instanceof Float ? floatText(value.value) : `<${typeName(value)}>`;
}

const integerText = (value: number): string => (Number.isSafeInteger(value) ? String(value) : String(BigInt(value)));

/** Python's notation of a float: at least one decimal, and an exponent below 1e-4 and from 1e16 on. */
function floatText(value: number): string {
  if (!Number.isFinite(value)) return String(value).replace('Infinity', 'inf').toLowerCase();
  const size = Math.abs(value);
  if (value !== 0 && (size < 1e-4 || size >= 1e16)) {
    return value.toExponential().replace(/e([+-])(\d)$/, (_match, sign, digit) => `e${sign}0${digit}`);
  }
  return Number.isInteger(value) ? `${Object.is(value, -0) ? '-0' : value}.0` : String(value);
}

/** A text in quotes, as Python's `repr` writes it. */
function quoted(text: Text): Text {
  const quote = text.plain.includes("'") && !text.plain.includes('"') ? '"' : "'";
  const escapes: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t', "'": "\\'", '"': '"' };
  const pattern = quote === "'" ? /[\\\n\r\t']/g : /[\\\n\r\t]/g;
  const body = text.map((plain) => plain.replace(pattern, (character) => escapes[character]));
  return Text.concat([new Text(quote), body, new Text(quote)]);
}

function pairsOf(value: Dict | Namespace): [Text, Value][] {
  if (value instanceof Dict) return Array.from(value.entries.values(), ({ key, value: item }) => [key, item]);
  return Array.from(value.entries, ([key, item]) => [new Text(key), item]);
}

function writeItems<T>(
  items: readonly T[],
  [open, close]: string,
  parts: Parts,
  write: (item: T, parts: Parts) => void,
  separator: string,
): void {
  parts.budget.nested(() => {
    parts.add(open);
    for (const [i, item] of items.entries()) {
      if (i > 0) parts.add(separator);
      write(item, parts);
    }
    if (open === '(' && items.length === 1) parts.add(',');
    parts.add(close);
  });
}

/** How `tojson` writes. */
export interface JsonOptions {
  /** Spaces per level; undefined: everything on one line. */
  indent?: number;
  separators?: readonly [string, string];
  sortKeys?: boolean;
  /** Writes characters above U+007E as `\uXXXX`. */
  ensureAscii?: boolean;
}

/** A value as JSON, as Python's `json.dumps` writes it. @throws Error for a function */
export function jsonOf(value: Value, options: JsonOptions, budget: Budget): Text {
  const parts = new Parts(budget);
  writeJson(value, options, 0, parts);
  return parts.joined();
}

function writeJson(value: Value, options: JsonOptions, level: number, parts: Parts): void {
  parts.budget.step();
  if (value instanceof Text) parts.add(jsonText(value, options));
  else if (value instanceof List) {
    const write = (item: Value): void => writeJson(item, options, level + 1, parts);
    writeJsonItems(value.items, '[]', options, level, parts, write);
  } else if (value instanceof Dict || value instanceof Namespace) {
    const pairs = pairsOf(value);
    if (options.sortKeys) pairs.sort(([a], [b]) => (a.plain < b.plain ? -1 : 1));
    writeJsonItems(pairs, '{}', options, level, parts, ([key, item]) => {
      parts.add(jsonText(key, options));
      parts.add(options.separators?.[1] ?? ': ');
      writeJson(item, options, level + 1, parts);
    });
  } else if (value == null) parts.add('null');
  else if (typeof value === 'boolean') parts.add(String(value));
  else if (typeof value === 'number' || value instanceof Float) parts.add(scalarText(value));
  else throw new Error(`${typeName(value)} cannot be written as JSON`);
}

function writeJsonItems<T>(
  items: readonly T[],
  brackets: string,
  { indent, separators }: JsonOptions,
  level: number,
  parts: Parts,
  write: (item: T) => void,
): void {
  const separator = separators?.[0] ?? (indent === undefined ? ', ' : ',');
  const line = (depth: number): string => (indent === undefined ? '' : `\n${' '.repeat(indent * depth)}`);
  const isEmpty = items.length === 0;
  parts.budget.nested(() => {
    parts.add(isEmpty ? brackets : brackets[0] + line(level + 1));
    for (const [i, item] of items.entries()) {
      if (i > 0) parts.add(separator + line(level + 1));
      write(item);
    }
    if (!isEmpty) parts.add(line(level) + brackets[1]);
  });
}

function jsonText(text: Text, { ensureAscii = false }: JsonOptions): Text {
  const body = text.map((plain) => {
    const escaped = JSON.stringify(plain).slice(1, -1);
    if (!ensureAscii) return escaped;
    return escaped.replace(/[\x7f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  });
  return Text.concat([new Text('"'), body, new Text('"')]);
}
