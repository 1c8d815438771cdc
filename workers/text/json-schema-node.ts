/** What the modules that check JSON schemas share. */
import { excerpt, MixtabError } from '../../src/contract/errors.ts';

/** A JSON object: a schema or one of its keywords' values. */
export type SchemaNode = Record<string, unknown>;

/**
 * Prepares a subschema.
 * @param name keyword that holds it, and the path below the keyword: `properties/age`
 */
export type PrepareInner = (schema: unknown, name: string) => unknown;

/** Whether a JSON value is an object. */
export const isNode = (value: unknown): value is SchemaNode =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A value of a schema as JSON, cut to 100 characters, for an error message. */
export const shown = (value: unknown): string => excerpt(String(JSON.stringify(value)));

/**
 * The error for a schema that is refused.
 * @param path of the subschema, from `#`
 * @param problem continues the sentence "The answer's JSON schema ..."
 */
export const refused = (path: string, problem: string, remedy = ''): MixtabError =>
  new MixtabError('bad-request', `The answer's JSON schema ${problem} (at ${excerpt(path)}).`, remedy);

/** Leaves out the keys whose value is undefined. */
export const definedOnly = (node: SchemaNode): SchemaNode =>
  Object.fromEntries(Object.entries(node).filter(([, value]) => value !== undefined));

/** @throws MixtabError `bad-request` if a limit is given and is not a whole number of at least 0 */
export function checkCounts(limits: SchemaNode, path: string): void {
  for (const [name, value] of Object.entries(limits)) {
    if (value !== undefined && !(Number.isInteger(value) && (value as number) >= 0)) {
      throw refused(path, `has a ${name} that is not a count`, 'Use a whole number of at least 0.');
    }
  }
}

/**
 * Applies a function to every value of an object.
 * @throws MixtabError `bad-request` if `node` is not an object
 */
export function mapValues(node: unknown, path: string, convert: (value: unknown, name: string) => unknown): SchemaNode {
  if (!isNode(node)) throw refused(path, 'is not an object');
  return Object.fromEntries(Object.entries(node).map(([name, value]) => [name, convert(value, name)]));
}
