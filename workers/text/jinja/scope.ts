/** The variables of a template. */

import type { Target } from './nodes.ts';
import { List, typeName, type Value } from './values.ts';

/** Scopes in scopes. Attack: loops in loops by the thousand make every variable slow. Real templates use less than ten. */
const MAX_DEPTH = 200;

/** Variables, inside those of the surrounding scope. */
export class Scope {
  readonly #values: Map<string, Value>;
  readonly #depth: number;

  constructor(
    private readonly parent?: Scope,
    values: Iterable<readonly [string, Value]> = [],
  ) {
    this.#values = new Map(values);
    this.#depth = parent ? parent.#depth + 1 : 0;
    if (this.#depth > MAX_DEPTH) throw new Error('it is nested too deeply');
  }

  /** The value of a variable; undefined if there is none. */
  get(name: string): Value {
    for (let scope: Scope | undefined = this; scope; scope = scope.parent) {
      if (scope.#values.has(name)) return scope.#values.get(name);
    }
    return undefined;
  }

  set(name: string, value: Value): void {
    this.#values.set(name, value);
  }

  /** Assigns a value to a name, or the items of a list to several names. @throws Error if their numbers differ */
  assign(target: Target, value: Value): void {
    if (target.type === 'Identifier') {
      this.set(target.value, value);
      return;
    }
    const items = value instanceof List ? value.items : undefined;
    if (items?.length !== target.value.length) {
      throw new Error(`${typeName(value)} does not have the ${target.value.length} items that are assigned`);
    }
    for (const [i, name] of target.value.entries()) this.assign(name as Target, items[i]);
  }
}
