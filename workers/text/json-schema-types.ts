/** The keywords of each JSON type: which are supported, and how they are passed to the grammar library. */
import {
  checkCounts,
  definedOnly,
  isNode,
  mapValues,
  type PrepareInner,
  refused,
  type SchemaNode,
  shown,
} from './json-schema-node.ts';

/** The supported keywords of each type. */
export const KEYWORDS: Record<string, readonly string[]> = {
  object: ['properties', 'required', 'additionalProperties'],
  array: ['items', 'prefixItems', 'minItems', 'maxItems'],
  string: ['minLength', 'maxLength', 'pattern', 'format'],
  integer: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
  number: [],
  boolean: [],
  null: [],
};

const FORMATS = ['date', 'time', 'date-time', 'duration', 'email', 'hostname', 'ipv4', 'ipv6', 'uuid'];
/**
 * Patterns that replace formats of the library. Its email addresses may contain backslash sequences that JSON does not
 * have, and its times allow minute 60.
 */
const FORMAT_PATTERNS: Record<string, string> = {
  email: '^[A-Za-z0-9_+-]+(\\.[A-Za-z0-9_+-]+)*@[A-Za-z0-9]+([.-][A-Za-z0-9]+)*\\.[A-Za-z]{2,}$',
  'date-time':
    '^\\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])T([01]\\d|2[0-3]):[0-5]\\d:([0-5]\\d|60)(\\.\\d+)?' +
    '(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)$',
};

/**
 * A character class of a pattern that cannot match a quote or a backslash: ranges within digits, within upper-case or
 * within lower-case letters, and single characters.
 */
const SAFE_CLASS = /\[(?:[A-Z]-[A-Z]|[a-z]-[a-z]|\d-\d|\\[dw./+-]|[A-Za-z0-9_ .,:;@#%&+*/=!?~'()])+-?\]/g;
const SAFE_ESCAPE = /\\[dw.*+?()[\]{}|^$/-]/g;
/** The rest of a pattern: literal text, groups, alternatives and repetitions. */
const SAFE_REST = /^\^?[^"\\.[\]^$\p{Cc}]*\$?$/u;

/**
 * Most integers within bounds. They are listed one by one, because the library's own range patterns match too much (123
 * for a maximum of 120). Attack: a grammar with millions of alternatives.
 */
const MAX_INTEGERS = 1000;

/** The keywords of a schema that are supported for `type`, checked and completed. */
export function prepareKeywords(type: string, node: SchemaNode, path: string, inner: PrepareInner): SchemaNode {
  if (type === 'object') return objectKeywords(node, path, inner);
  if (type === 'array') return arrayKeywords(node, path, inner);
  if (type === 'string') return stringKeywords(node, path);
  return type === 'integer' ? integerKeywords(node, path) : {};
}

/** Objects are closed unless the schema names no property. */
function objectKeywords(node: SchemaNode, path: string, inner: PrepareInner): SchemaNode {
  const { properties = {}, required = [], additionalProperties } = node;
  const prepared = mapValues(properties, `${path}/properties`, (value, name) => inner(value, `properties/${name}`));
  const names = Object.keys(prepared);
  const escaped = names.find((name) => /["\\\p{Cc}]/u.test(name));
  if (escaped !== undefined) {
    throw refused(path, `has the property name ${shown(escaped)}, which contains a character that JSON escapes`);
  }
  if (!Array.isArray(required)) throw refused(path, 'has a "required" that is not a list');
  const missing = required.find((name) => !names.includes(name as string));
  if (missing !== undefined) throw refused(path, `requires ${shown(missing)}, which is not one of its properties`);
  // An additional property could repeat the name of a property, with a value that the property does not allow.
  const isOpen = additionalProperties !== undefined && additionalProperties !== false;
  if (isOpen && names.length > 0) {
    throw refused(path, 'has properties and allows additional ones', 'Set additionalProperties to false.');
  }
  const others = additionalProperties ?? names.length === 0;
  return {
    properties: prepared,
    required,
    additionalProperties: typeof others === 'boolean' ? others : inner(others, 'additionalProperties'),
  };
}

function arrayKeywords(
  { items, prefixItems, minItems, maxItems }: SchemaNode,
  path: string,
  inner: PrepareInner,
): SchemaNode {
  if (prefixItems !== undefined && !Array.isArray(prefixItems)) {
    throw refused(path, 'has prefixItems that are not a list');
  }
  checkCounts({ minItems, maxItems }, path);
  const first = (prefixItems as unknown[] | undefined)?.map((item, i) => inner(item, `prefixItems/${i}`));
  const rest = items ?? first === undefined;
  return definedOnly({
    prefixItems: first,
    items: typeof rest === 'boolean' ? rest : inner(rest, 'items'),
    minItems,
    maxItems,
  });
}

/** A schema may have only one of pattern, format and length, because the library applies only one. */
function stringKeywords({ minLength, maxLength, pattern, format }: SchemaNode, path: string): SchemaNode {
  checkCounts({ minLength, maxLength }, path);
  const limits = [
    ['pattern', pattern],
    ['format', format],
    ['a length', minLength ?? maxLength],
  ].filter(([, value]) => value !== undefined);
  if (limits.length > 1) {
    throw refused(
      path,
      `has ${limits[0][0]} and ${limits[1][0]}`,
      'Keep one of the two. A pattern can state a length.',
    );
  }
  if (pattern !== undefined && !(typeof pattern === 'string' && isSafePattern(pattern))) {
    throw refused(
      path,
      `has the pattern ${shown(pattern)}, which is not supported or could match text that is not valid in JSON`,
      'Use characters, classes such as [a-z0-9_], \\d, \\w, groups, | and repetitions; ' +
        'no dot, [^...], quote or backslash.',
    );
  }
  if (format !== undefined && !FORMATS.includes(format as string)) {
    throw refused(path, `has the format ${shown(format)}, which is not supported`, `Use one of ${FORMATS.join(', ')}.`);
  }
  const formatPattern = FORMAT_PATTERNS[format as string];
  return formatPattern ? { pattern: formatPattern } : definedOnly({ minLength, maxLength, pattern, format });
}

/** Whether the library supports a pattern and all that it matches may be in a JSON string without escapes. */
const isSafePattern = (pattern: string): boolean =>
  SAFE_REST.test(pattern.replace(SAFE_CLASS, 'x').replace(SAFE_ESCAPE, 'x')) && !pattern.includes('(?');

/** Bounds become the list of integers within them. Only a minimum of 0 or 1 without a maximum stays a bound. */
function integerKeywords(
  { minimum, maximum, exclusiveMinimum, exclusiveMaximum }: SchemaNode,
  path: string,
): SchemaNode {
  for (const [name, value] of Object.entries({ minimum, maximum, exclusiveMinimum, exclusiveMaximum })) {
    if (value !== undefined && !Number.isSafeInteger(value)) {
      throw refused(path, `has a ${name} that is not a whole number`);
    }
  }
  const lowest = [minimum, exclusiveMinimum !== undefined && (exclusiveMinimum as number) + 1];
  const highest = [maximum, exclusiveMaximum !== undefined && (exclusiveMaximum as number) - 1];
  const least = Math.max(...lowest.filter(Number.isInteger).map(Number));
  const most = Math.min(...highest.filter(Number.isInteger).map(Number));
  if (least === Number.NEGATIVE_INFINITY && most === Number.POSITIVE_INFINITY) return {};
  if (most === Number.POSITIVE_INFINITY && (least === 0 || least === 1)) return { minimum: least };
  const count = most - least + 1;
  if (count < 1) throw refused(path, 'has bounds that no number satisfies');
  if (count > MAX_INTEGERS) {
    throw refused(
      path,
      'has bounds that are too far apart',
      `Give two bounds with at most ${MAX_INTEGERS} numbers, or only a minimum of 0 or 1.`,
    );
  }
  return { enum: Array.from({ length: count }, (_, i) => least + i) };
}

/** @throws MixtabError `bad-request` if `given` is not a type or a list of types */
export function typesOf(given: unknown, path: string): string[] {
  const types = [given].flat();
  const wrong = types.find((type) => typeof type !== 'string' || !Object.hasOwn(KEYWORDS, type));
  if (types.length === 0 || wrong !== undefined) {
    throw refused(path, `has the type ${shown(wrong ?? given)}`, `Use one of ${Object.keys(KEYWORDS).join(', ')}.`);
  }
  return types as string[];
}

/** Whether a JSON value has this JSON type. */
export function isOfType(value: unknown, type: string): boolean {
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'null') return value === null;
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return isNode(value);
  return typeof value === type;
}
