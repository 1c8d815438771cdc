/** Checks the changes of the router that a caller asks for. Whether experts exist is checked by the engine. Pure. */
import type { AblationOptions } from '../contract/engine-api.ts';
import { MixtabError } from '../contract/errors.ts';

/** What the values of {@link AblationOptions} have to be. */
type Shape = 'number' | { list: boolean; required: readonly string[]; optional: readonly string[] };

const SHAPES: Record<keyof AblationOptions, Shape> = {
  expertsUsed: 'number',
  choicesSkipped: 'number',
  randomSeed: 'number',
  noise: { list: false, required: ['amount', 'seed'], optional: [] },
  banned: { list: true, required: ['expert'], optional: ['layer'] },
  replaced: { list: true, required: ['by'], optional: ['layer', 'expert'] },
};

/**
 * @returns the options, as a field to spread into a request; nothing for null and undefined
 * @throws MixtabError `bad-request` that names the field, also for one that does not exist: ignoring it would look as
 *   if the router had been changed
 */
export function ablationOf(given: unknown): { ablation?: AblationOptions } {
  if (given == null) return {};
  if (!isObject(given)) throw bad('ablation', 'must be an object');
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(SHAPES, name)) {
      throw bad(`ablation.${name.slice(0, 100)}`, `does not exist; there are ${Object.keys(SHAPES).join(', ')}`);
    }
    if (value !== undefined) check(`ablation.${name}`, value, SHAPES[name as keyof AblationOptions]);
  }
  return { ablation: given as AblationOptions };
}

function check(name: string, value: unknown, shape: Shape): void {
  if (shape === 'number') {
    if (typeof value !== 'number') throw bad(name, 'must be a number');
    return;
  }
  if (shape.list && !Array.isArray(value)) throw bad(name, 'must be a list');
  for (const entry of shape.list ? (value as unknown[]) : [value]) {
    if (!isObject(entry)) throw bad(name, `must have ${shape.required.join(' and ')}`);
    const fields = [...shape.required, ...shape.optional];
    const unknown = Object.keys(entry).find((field) => !fields.includes(field));
    if (unknown !== undefined) {
      throw bad(`${name}: ${unknown.slice(0, 100)}`, `does not exist; there are ${fields.join(', ')}`);
    }
    for (const field of fields) {
      if (entry[field] === undefined && shape.optional.includes(field)) continue;
      if (typeof entry[field] !== 'number') throw bad(`${name}: ${field}`, 'must be a number');
    }
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const bad = (name: string, problem: string): MixtabError => new MixtabError('bad-request', `${name} ${problem}.`);
