/** Items and slices of lists, texts and dictionaries. */
import type { Budget } from './budget.ts';
import { Text } from './text.ts';
import { charactersOf } from './text-methods.ts';
import { Dict, List, typeName, type Value } from './values.ts';

/** What a `for` loop runs over, and what filters of lists take. @throws Error if the value has no items */
export function itemsOf(value: Value, budget: Budget): readonly Value[] {
  if (value === undefined) return [];
  if (value instanceof List) return value.items;
  if (value instanceof Text) return charactersOf(value, budget);
  if (!(value instanceof Dict)) throw new Error(`${typeName(value)} has no items`);
  budget.allocateItems(value.entries.size);
  return Array.from(value.entries.values(), ({ key }) => key);
}

/** The character at an index; negative: from the end. Undefined if there is none. */
export function characterAt(text: Text, index: number, budget: Budget): Text | undefined {
  budget.scan(text.cost);
  if (!/[\ud800-\udfff]/.test(text.plain)) {
    const at = index < 0 ? index + text.plain.length : index;
    return at >= 0 && at < text.plain.length ? text.slice(at, at + 1) : undefined;
  }
  return charactersOf(text, budget).at(index);
}

/** The number of characters of a text, the number of items of anything else. @throws Error if the value has no items */
export function lengthOf(value: Value, budget: Budget): number {
  if (value instanceof Text) {
    budget.allocate(value.plain.length);
    return /[\ud800-\udfff]/.test(value.plain) ? Array.from(value.plain).length : value.plain.length;
  }
  return value instanceof Dict ? value.entries.size : itemsOf(value, budget).length;
}

/** The bounds of a slice; undefined: not given. */
export type SliceBounds = readonly [start: Value, stop: Value, step: Value];

/** Python's `value[start:stop:step]`. @throws Error if it is not a list or text, or a bound is not a whole number */
export function sliceOf(value: Value, bounds: SliceBounds, budget: Budget): Value {
  if (!(value instanceof List || value instanceof Text)) throw new Error(`${typeName(value)} has no slices`);
  const [start, stop, step] = bounds.map((bound) => {
    if (bound == null || typeof bound === 'number') return bound ?? undefined;
    throw new Error(`a slice cannot begin or end at ${typeName(bound)}`);
  });
  if (value instanceof Text && !/[\ud800-\udfff]/.test(value.plain) && (step ?? 1) === 1) {
    budget.allocate(value.cost);
    const [from, to] = sliceRange(value.plain.length, start, stop, 1);
    return value.slice(from, to);
  }
  const items = itemsOf(value, budget);
  const [from, to, by] = sliceRange(items.length, start, stop, step ?? 1);
  budget.allocateItems(items.length);
  const taken: Value[] = [];
  for (let i = from; by > 0 ? i < to : i > to; i += by) taken.push(items[i]);
  return value instanceof List ? new List(taken, value.isTuple) : Text.concat(taken as Text[]);
}

/** The first index, the one after the last, and the step, as Python's `slice.indices`. */
function sliceRange(
  length: number,
  start: number | undefined,
  stop: number | undefined,
  step: number,
): [number, number, number] {
  if (step === 0) throw new Error('the step of a slice cannot be 0');
  const [lowest, highest] = step > 0 ? [0, length] : [-1, length - 1];
  const bounded = (bound: number): number => Math.min(Math.max(bound < 0 ? bound + length : bound, lowest), highest);
  const from = start === undefined ? (step > 0 ? 0 : length - 1) : bounded(start);
  const to = stop === undefined ? (step > 0 ? length : -1) : bounded(stop);
  return [from, to, step];
}
