/** The values of a template, as in Python. */
import { Text } from './text.ts';

/** `undefined` is Jinja's undefined, `null` is None, and a number is an integer. */
export type Value = undefined | null | boolean | number | Float | Text | List | Dict | Namespace | Func;

/** A floating-point number. Python prints 1.0 and 1 differently. */
export class Float {
  constructor(readonly value: number) {}
}

/** A list or a tuple. */
export class List {
  constructor(
    readonly items: readonly Value[],
    readonly isTuple = false,
  ) {}
}

/** A dictionary whose keys are texts. */
export class Dict {
  constructor(readonly entries: ReadonlyMap<string, { key: Text; value: Value }>) {}

  /** @param fields JavaScript's names and values */
  static of(fields: Record<string, Value>): Dict {
    return new Dict(new Map(Object.entries(fields).map(([key, value]) => [key, { key: new Text(key), value }])));
  }

  get(key: string): Value {
    return this.entries.get(key)?.value;
  }
}

/** What `namespace()` makes: the only value that a template can change. */
export class Namespace {
  constructor(readonly entries: Map<string, Value>) {}
}

/** The arguments of a call. */
export interface Arguments {
  positional: readonly Value[];
  named: ReadonlyMap<string, Value>;
}

/** A function, a method or a macro. */
export class Func {
  constructor(readonly call: (args: Arguments) => Value) {}
}

/** Python's name of the type, for error messages. */
export function typeName(value: Value): string {
  if (value === undefined) return 'undefined';
  if (value === null) return 'None';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return 'int';
  if (value instanceof Float) return 'float';
  if (value instanceof Text) return 'str';
  if (value instanceof List) return value.isTuple ? 'tuple' : 'list';
  if (value instanceof Dict) return 'dict';
  return value instanceof Namespace ? 'Namespace' : 'function';
}

/** Whether a condition with this value holds. */
export function isTrue(value: Value): boolean {
  if (value instanceof Text) return value.plain !== '';
  if (value instanceof List) return value.items.length > 0;
  if (value instanceof Dict) return value.entries.size > 0;
  if (value instanceof Float) return value.value !== 0;
  return Boolean(value);
}

/** The number of an integer, a float or a boolean. */
export function numberOf(value: Value): number | undefined {
  if (value instanceof Float) return value.value;
  if (typeof value === 'boolean') return Number(value);
  return typeof value === 'number' ? value : undefined;
}

/** An argument by its position or name. */
export function argument({ positional, named }: Arguments, index: number, name: string): Value {
  return index < positional.length ? positional[index] : named.get(name);
}

/** A text argument. @throws Error if it is something else, or missing without a default */
export function textArgument(args: Arguments, index: number, name: string, absent?: Text): Text {
  const value = argument(args, index, name) ?? absent;
  if (value instanceof Text) return value;
  throw new Error(`${name} must be a text, not ${typeName(value)}`);
}

/** An integer argument. @throws Error if it is something else, or missing without a default */
export function integerArgument(args: Arguments, index: number, name: string, absent?: number): number {
  const value = argument(args, index, name) ?? absent;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  throw new Error(`${name} must be a whole number, not ${typeName(value)}`);
}
