/**
 * JSON schemas as the grammar library may be given them. It overlooks keywords in silence, or writes rules for them that also
 * allow other texts; what is not in the tables here, each checked by walks through its grammar, is refused by name.
 */
import { MixtabError } from '../../src/contract/errors.ts';

/** Say nothing about what is valid. */
const ANNOTATIONS = new Set([
  'title',
  'description',
  'default',
  'examples',
  'example',
  'deprecated',
  'readOnly',
  'writeOnly',
  '$comment',
  '$schema',
  '$id',
]);
const DEFINITIONS = ['$defs', 'definitions'];

/** What is kept of each type. */
const KEYWORDS: Record<string, readonly string[]> = {
  object: ['properties', 'required', 'additionalProperties'],
  array: ['items', 'prefixItems', 'minItems', 'maxItems'],
  string: ['minLength', 'maxLength', 'pattern', 'format'],
  integer: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
  number: [],
  boolean: [],
  null: [],
};

const FORMATS = ['date', 'time', 'date-time', 'duration', 'email', 'hostname', 'ipv4', 'ipv6', 'uuid'];
/** In place of the library's own, whose addresses have backslashes that JSON does not know, and whose hours have 60 as a minute. */
const FORMAT_PATTERNS: Record<string, string> = {
  email: '^[A-Za-z0-9_+-]+(\\.[A-Za-z0-9_+-]+)*@[A-Za-z0-9]+([.-][A-Za-z0-9]+)*\\.[A-Za-z]{2,}$',
  'date-time':
    '^\\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])T([01]\\d|2[0-3]):[0-5]\\d:([0-5]\\d|60)(\\.\\d+)?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)$',
};

/** Inside a class: ranges of one kind and marks, none of which could be or include a quote or a backslash. */
const SAFE_CLASS = /\[(?:[A-Z]-[A-Z]|[a-z]-[a-z]|\d-\d|\\[dw./+-]|[A-Za-z0-9_ .,:;@#%&+*/=!?~'()])+-?\]/g;
const SAFE_ESCAPE = /\\[dw.*+?()[\]{}|^$/-]/g;
/** What is left then: a text of no special meaning but groups, alternatives and repetitions. */
const SAFE_REST = /^\^?[^"\\.[\]^$\p{Cc}]*\$?$/u;

/** Whole numbers that bounds may leave: they are listed, since the library's patterns of ranges let others through (123 for a maximum of 120). */
const MAX_NUMBERS = 1000;

/** Levels of a schema; a hostile one could contain itself. */
const MAX_DEPTH = 64;

type Node = Record<string, unknown>;

/**
 * The schema with what it means written out: objects are closed but for those that name no property, annotations are gone.
 * @throws MixtabError `bad-request` that names the place and what is wrong there
 */
export function prepareSchema(schema: unknown): unknown {
  return prepare(schema, '#', schema, 0);
}

function prepare(node: unknown, path: string, root: unknown, depth: number): unknown {
  if (depth > MAX_DEPTH) throw refused(path, `is more than ${MAX_DEPTH} levels deep`);
  if (node === true) return true;
  if (node === false) throw refused(path, 'is false, which nothing can satisfy');
  if (!isNode(node)) throw refused(path, `is ${String(JSON.stringify(node)).slice(0, 40)} instead of a schema`);
  const inner = (value: unknown, name: string): unknown => prepare(value, `${path}/${name}`, root, depth + 1);
  const keys = Object.keys(node).filter((key) => !ANNOTATIONS.has(key) && !DEFINITIONS.includes(key));
  const definitions = Object.fromEntries(
    DEFINITIONS.filter((key) => node[key] !== undefined).map((key) => [
      key,
      mapped(node[key], `${path}/${key}`, (value, name) => inner(value, `${key}/${name}`)),
    ]),
  );
  const body = prepareBody(node, keys, path, root, inner);
  if (Object.keys(definitions).length === 0) return body;
  return body === true ? definitions : { ...(body as Node), ...definitions };
}

type Inner = (value: unknown, name: string) => unknown;

function prepareBody(node: Node, keys: string[], path: string, root: unknown, inner: Inner): unknown {
  const only = (...allowed: string[]): void => {
    const other = keys.find((key) => !allowed.includes(key));
    if (other)
      throw refused(
        path,
        `has ${allowed[0]} and beside it ${other}`,
        'Write it into what is referred to, or leave it out.',
      );
  };
  if ('$ref' in node) {
    only('$ref');
    checkReference(node.$ref, path, root);
    return { $ref: node.$ref };
  }
  if ('const' in node || 'enum' in node) {
    only('const' in node ? 'const' : 'enum', 'type');
    const values = 'const' in node ? [node.const] : node.enum;
    if (!Array.isArray(values) || values.length === 0) throw refused(path, 'has an enum without values');
    const types = node.type === undefined ? undefined : typesOf(node.type, path);
    const fitting = types ? values.filter((value) => types.some((type) => isOfType(value, type))) : values;
    if (fitting.length === 0) throw refused(path, 'has no value that is of its type');
    return { enum: fitting };
  }
  if ('anyOf' in node) {
    only('anyOf');
    if (!Array.isArray(node.anyOf) || node.anyOf.length === 0) throw refused(path, 'has an anyOf without alternatives');
    return { anyOf: node.anyOf.map((alternative, i) => inner(alternative, `anyOf/${i}`)) };
  }
  if (Array.isArray(node.allOf) && node.allOf.length === 1) {
    only('allOf');
    return inner(node.allOf[0], 'allOf/0');
  }
  if (keys.length === 0) return true;
  return prepareTyped(node, keys, path, inner);
}

function prepareTyped(node: Node, keys: string[], path: string, inner: Inner): unknown {
  const implied = 'properties' in node ? 'object' : 'items' in node ? 'array' : undefined;
  if (node.type === undefined && implied === undefined)
    throw refused(path, `has ${keys[0]}, but no type`, hintFor(keys[0]) || 'Name the type.');
  const types = typesOf(node.type ?? implied, path);
  const other = keys.find((key) => key !== 'type' && !types.some((type) => KEYWORDS[type].includes(key)));
  if (other)
    throw refused(
      path,
      `has ${other}, which an answer of type ${types.join(' or ')} cannot be held to here`,
      hintFor(other),
    );
  const prepared = types.map((type) => ({ type, ...partOf(type, node, path, inner) }));
  return prepared.length === 1 ? prepared[0] : { anyOf: prepared };
}

function partOf(type: string, node: Node, path: string, inner: Inner): Node {
  if (type === 'object') return objectPart(node, path, inner);
  if (type === 'array') return arrayPart(node, path, inner);
  if (type === 'string') return stringPart(node, path);
  return type === 'integer' ? integerPart(node, path) : {};
}

function objectPart({ properties = {}, required = [], additionalProperties }: Node, path: string, inner: Inner): Node {
  const prepared = mapped(properties, `${path}/properties`, (value, name) => inner(value, `properties/${name}`));
  const names = Object.keys(prepared);
  const odd = names.find((name) => /["\\\p{Cc}]/u.test(name));
  if (odd !== undefined)
    throw refused(path, `names the property ${JSON.stringify(odd)}, with a character that JSON escapes`);
  if (!Array.isArray(required)) throw refused(path, 'has a required that is no list');
  const missing = required.find((name) => !names.includes(name as string));
  if (missing !== undefined)
    throw refused(path, `requires ${JSON.stringify(missing)}, which is none of its properties`);
  // Beside named properties others could have the same names again, with other values.
  const open = additionalProperties !== undefined && additionalProperties !== false;
  if (open && names.length > 0)
    throw refused(path, 'has properties and lets others in', 'Set additionalProperties to false.');
  const others = additionalProperties ?? names.length === 0;
  return {
    properties: prepared,
    required,
    additionalProperties: typeof others === 'boolean' ? others : inner(others, 'additionalProperties'),
  };
}

function arrayPart({ items, prefixItems, minItems, maxItems }: Node, path: string, inner: Inner): Node {
  if (prefixItems !== undefined && !Array.isArray(prefixItems)) throw refused(path, 'has prefixItems that are no list');
  for (const [name, value] of Object.entries({ minItems, maxItems })) checkCount(name, value, path);
  const first = (prefixItems as unknown[] | undefined)?.map((item, i) => inner(item, `prefixItems/${i}`));
  const rest = items ?? first === undefined;
  return given({
    prefixItems: first,
    items: typeof rest === 'boolean' ? rest : inner(rest, 'items'),
    minItems,
    maxItems,
  });
}

function stringPart({ minLength, maxLength, pattern, format }: Node, path: string): Node {
  for (const [name, value] of Object.entries({ minLength, maxLength })) checkCount(name, value, path);
  const limits = [
    ['pattern', pattern],
    ['format', format],
    ['a length', minLength ?? maxLength],
  ].filter(([, value]) => value !== undefined);
  if (limits.length > 1)
    throw refused(path, `has ${limits[0][0]} and ${limits[1][0]}`, 'Keep one of the two; a pattern can name a length.');
  if (pattern !== undefined && !(typeof pattern === 'string' && isSafePattern(pattern))) {
    throw refused(
      path,
      `has the pattern ${JSON.stringify(pattern)}, which could let in what a text in JSON must not have, or is not understood`,
      'Use characters, classes such as [a-z0-9_], \\d, \\w, groups, | and repetitions; no dot, [^...], quote or backslash.',
    );
  }
  if (format !== undefined && !FORMATS.includes(format as string)) {
    throw refused(path, `has the format ${JSON.stringify(format)}`, `There are ${FORMATS.join(', ')}.`);
  }
  const own = FORMAT_PATTERNS[format as string];
  return own ? { pattern: own } : given({ minLength, maxLength, pattern, format });
}

const isSafePattern = (pattern: string): boolean =>
  SAFE_REST.test(pattern.replace(SAFE_CLASS, 'x').replace(SAFE_ESCAPE, 'x')) && !pattern.includes('(?');

function integerPart({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: Node, path: string): Node {
  for (const [name, value] of Object.entries({ minimum, maximum, exclusiveMinimum, exclusiveMaximum })) {
    if (value !== undefined && !Number.isSafeInteger(value))
      throw refused(path, `has a ${name} that is no whole number`);
  }
  const least = Math.max(
    ...[minimum, exclusiveMinimum !== undefined && (exclusiveMinimum as number) + 1]
      .filter(Number.isInteger)
      .map(Number),
  );
  const most = Math.min(
    ...[maximum, exclusiveMaximum !== undefined && (exclusiveMaximum as number) - 1]
      .filter(Number.isInteger)
      .map(Number),
  );
  if (least === Number.NEGATIVE_INFINITY && most === Number.POSITIVE_INFINITY) return {};
  if (most === Number.POSITIVE_INFINITY && (least === 0 || least === 1)) return { minimum: least };
  const count = most - least + 1;
  if (count < 1) throw refused(path, 'has bounds that no number is within');
  if (count > MAX_NUMBERS) {
    throw refused(
      path,
      'has bounds that are too far apart',
      `Give both, at most ${MAX_NUMBERS} numbers, or only a minimum of 0 or 1.`,
    );
  }
  return { enum: Array.from({ length: count }, (_, i) => least + i) };
}

/** Without what is undefined. */
const given = (node: Node): Node => Object.fromEntries(Object.entries(node).filter(([, value]) => value !== undefined));

function checkCount(name: string, value: unknown, path: string): void {
  if (value !== undefined && !(Number.isInteger(value) && (value as number) >= 0))
    throw refused(path, `has a ${name} that is no count`);
}

function checkReference(target: unknown, path: string, root: unknown): void {
  if (target === '#') return;
  const [, folder, name] = /^#\/(\$defs|definitions)\/([\w.-]+)$/.exec(String(target)) ?? [];
  const definitions = folder && isNode(root) ? root[folder] : undefined;
  if (!isNode(definitions) || !Object.hasOwn(definitions, name)) {
    throw refused(
      path,
      `refers to ${JSON.stringify(target)}, which is no definition of this schema`,
      'Refer to "#" or "#/$defs/NAME".',
    );
  }
}

function typesOf(given: unknown, path: string): string[] {
  const types = [given].flat();
  const wrong = types.find((type) => typeof type !== 'string' || !Object.hasOwn(KEYWORDS, type));
  if (types.length === 0 || wrong !== undefined)
    throw refused(
      path,
      `has the type ${JSON.stringify(wrong ?? given)}`,
      `There are ${Object.keys(KEYWORDS).join(', ')}.`,
    );
  return types as string[];
}

function isOfType(value: unknown, type: string): boolean {
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'null') return value === null;
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return isNode(value);
  return typeof value === type;
}

function mapped(node: unknown, path: string, of: (value: unknown, name: string) => unknown): Node {
  if (!isNode(node)) throw refused(path, 'is no object');
  return Object.fromEntries(Object.entries(node).map(([name, value]) => [name, of(value, name)]));
}

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && !Array.isArray(value);

function hintFor(keyword: string): string {
  if (keyword === 'oneOf') return 'Use anyOf.';
  if (keyword === 'allOf') return 'Write what it says into one schema.';
  if (KEYWORDS.integer.includes(keyword)) return 'Bounds are kept for the type integer.';
  return '';
}

const refused = (path: string, why: string, remedy = ''): MixtabError =>
  new MixtabError('bad-request', `The answer's JSON schema ${why} (at ${path}).`, remedy);
