/**
 * Checks JSON schemas before the grammar library gets them. The library silently ignores some keywords, and for others
 * it writes rules that match too much. So only the keywords listed here are accepted; tests check each one by random
 * walks through its grammar. All others are refused by name.
 */
import { excerpt } from '../../src/contract/errors.ts';
import { isNode, mapValues, type PrepareInner, refused, type SchemaNode, shown } from './json-schema-node.ts';
import { isOfType, KEYWORDS, prepareKeywords, typesOf } from './json-schema-types.ts';

/** Keywords that do not affect what is valid. */
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

/**
 * Most levels of a schema. Attack: a schema that contains itself, or one that overflows the stack. Real schemas have
 * about ten.
 */
const MAX_DEPTH = 64;

/** A subschema that is being prepared. */
interface Subschema {
  node: SchemaNode;
  /** Its keywords, without annotations and definitions. */
  keys: string[];
  /** Where it is in the whole schema: `#/properties/age`. */
  path: string;
  /** The whole schema. */
  root: unknown;
  inner: PrepareInner;
}

/**
 * Writes out what a schema implies, for the grammar library: objects that name properties are closed, annotations are
 * removed, bounds of integers become lists.
 * @throws MixtabError `bad-request` that names the subschema and what is wrong with it
 */
export function prepareSchema(schema: unknown): unknown {
  return prepare(schema, { path: '#', root: schema, depth: 0 });
}

function prepare(node: unknown, { path, root, depth }: { path: string; root: unknown; depth: number }): unknown {
  if (depth > MAX_DEPTH) throw refused(path, `is more than ${MAX_DEPTH} levels deep`);
  if (node === true) return true;
  if (node === false) throw refused(path, 'is false, which no answer can satisfy');
  if (!isNode(node)) throw refused(path, `is ${shown(node)} instead of a schema`);
  const inner: PrepareInner = (value, name) => prepare(value, { path: `${path}/${name}`, root, depth: depth + 1 });
  const keys = Object.keys(node).filter((key) => !ANNOTATIONS.has(key) && !DEFINITIONS.includes(key));
  const definitions = Object.fromEntries(
    DEFINITIONS.filter((key) => node[key] !== undefined).map((key) => [
      key,
      mapValues(node[key], `${path}/${key}`, (value, name) => inner(value, `${key}/${name}`)),
    ]),
  );
  const body = prepareBody({ node, keys, path, root, inner });
  if (Object.keys(definitions).length === 0) return body;
  return body === true ? definitions : { ...(body as SchemaNode), ...definitions };
}

/** A subschema without its definitions. It is a reference, a list of values, a list of alternatives, or has a type. */
function prepareBody(subschema: Subschema): unknown {
  const { node, keys, path, root, inner } = subschema;
  if ('$ref' in node) {
    checkOnly(subschema, '$ref');
    checkReference(node.$ref, path, root);
    return { $ref: node.$ref };
  }
  if ('const' in node || 'enum' in node) return prepareValues(subschema);
  if ('anyOf' in node) {
    checkOnly(subschema, 'anyOf');
    if (!Array.isArray(node.anyOf) || node.anyOf.length === 0) throw refused(path, 'has an anyOf without alternatives');
    return { anyOf: node.anyOf.map((alternative, i) => inner(alternative, `anyOf/${i}`)) };
  }
  if (Array.isArray(node.allOf) && node.allOf.length === 1) {
    checkOnly(subschema, 'allOf');
    return inner(node.allOf[0], 'allOf/0');
  }
  return keys.length === 0 ? true : prepareTyped(subschema);
}

/** `const` or `enum`: the values that have the subschema's type, if it states one. */
function prepareValues(subschema: Subschema): SchemaNode {
  const { node, path } = subschema;
  const isConst = 'const' in node;
  checkOnly(subschema, isConst ? 'const' : 'enum', 'type');
  const values = isConst ? [node.const] : node.enum;
  if (!Array.isArray(values) || values.length === 0) throw refused(path, 'has an enum without values');
  const types = node.type === undefined ? undefined : typesOf(node.type, path);
  const valid = types ? values.filter((value) => types.some((type) => isOfType(value, type))) : values;
  if (valid.length === 0) throw refused(path, 'has no value of its type');
  return { enum: valid };
}

function prepareTyped({ node, keys, path, inner }: Subschema): unknown {
  const implied = 'properties' in node ? 'object' : 'items' in node ? 'array' : undefined;
  if (node.type === undefined && implied === undefined) {
    throw refused(path, `has ${excerpt(keys[0])}, but no type`, hintFor(keys[0]) || 'State the type.');
  }
  const types = typesOf(node.type ?? implied, path);
  const other = keys.find((key) => key !== 'type' && !types.some((type) => KEYWORDS[type].includes(key)));
  if (other) {
    const type = types.join(' or ');
    throw refused(path, `has ${excerpt(other)}, which is not supported for the type ${type}`, hintFor(other));
  }
  const prepared = types.map((type) => ({ type, ...prepareKeywords(type, node, path, inner) }));
  return prepared.length === 1 ? prepared[0] : { anyOf: prepared };
}

/** @throws MixtabError `bad-request` if the subschema has other keywords than the allowed ones */
function checkOnly({ keys, path }: Subschema, ...allowed: string[]): void {
  const other = keys.find((key) => !allowed.includes(key));
  if (!other) return;
  const remedy = allowed[0] === '$ref' ? 'Move it into the definition, or remove it.' : 'Remove one of the two.';
  throw refused(path, `has ${excerpt(other)} next to ${allowed[0]}`, remedy);
}

/** @throws MixtabError `bad-request` unless `target` is the whole schema or one of its definitions */
function checkReference(target: unknown, path: string, root: unknown): void {
  if (target === '#') return;
  const [, folder, name] = /^#\/(\$defs|definitions)\/([\w.-]+)$/.exec(String(target)) ?? [];
  const definitions = folder && isNode(root) ? root[folder] : undefined;
  if (!isNode(definitions) || !Object.hasOwn(definitions, name)) {
    throw refused(
      path,
      `refers to ${shown(target)}, which is not a definition of this schema`,
      'Refer to "#" or "#/$defs/NAME".',
    );
  }
}

function hintFor(keyword: string): string {
  if (keyword === 'oneOf') return 'Use anyOf.';
  if (keyword === 'allOf') return 'Combine its schemas into one.';
  if (KEYWORDS.integer.includes(keyword)) return 'Bounds are supported for the type integer.';
  return '';
}
