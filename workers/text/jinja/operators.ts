/** The operators of expressions, with Python's meaning. */
import type { Budget } from './budget.ts';
import { Text } from './text.ts';
import { indexOf } from './text-methods.ts';
import { Dict, Float, List, numberOf, typeName, type Value } from './values.ts';
import { textOf } from './write-value.ts';

/** Whether `==` holds. Pays for every value that is compared. */
export function equals(left: Value, right: Value, budget: Budget): boolean {
  budget.step();
  if (left === right) return true;
  if (left instanceof Text) {
    if (!(right instanceof Text) || left.plain.length !== right.plain.length) return false;
    budget.scan(left.plain.length);
    return left.plain === right.plain;
  }
  if (left instanceof List) {
    if (!(right instanceof List) || left.isTuple !== right.isTuple || left.items.length !== right.items.length)
      return false;
    return budget.nested(() => left.items.every((item, i) => equals(item, right.items[i], budget)));
  }
  if (left instanceof Dict) {
    if (!(right instanceof Dict) || left.entries.size !== right.entries.size) return false;
    const pairs = [...left.entries];
    return budget.nested(() =>
      pairs.every(([key, { value }]) => right.entries.has(key) && equals(value, right.get(key), budget)),
    );
  }
  const number = numberOf(left);
  return number !== undefined && number === numberOf(right);
}

/** Negative if `left` comes first, 0 if both are equal. @throws Error if they cannot be compared */
export function compare(left: Value, right: Value, budget: Budget): number {
  budget.step();
  if (left instanceof Text && right instanceof Text) {
    budget.scan(Math.min(left.plain.length, right.plain.length));
    return left.plain < right.plain ? -1 : left.plain > right.plain ? 1 : 0;
  }
  const [a, b] = [numberOf(left), numberOf(right)];
  if (a === undefined || b === undefined) {
    throw new Error(`${typeName(left)} and ${typeName(right)} cannot be compared`);
  }
  return a - b;
}

/** Python's `in`. @throws Error if the container is a number or a function */
export function contains(container: Value, item: Value, budget: Budget): boolean {
  if (container === undefined) return false;
  if (container instanceof Text && item instanceof Text) {
    budget.scan(container.plain.length + item.plain.length);
    return indexOf(container.plain, item.plain) >= 0;
  }
  if (container instanceof List) return container.items.some((other) => equals(other, item, budget));
  if (container instanceof Dict) return item instanceof Text && container.entries.has(item.plain);
  throw new Error(`${typeName(item)} cannot be searched in ${typeName(container)}`);
}

/** The texts one after the other, paid for. */
export function concatenate(texts: readonly Text[], budget: Budget): Text {
  budget.allocate(texts.reduce((sum, { cost }) => sum + cost, 0));
  return Text.concat(texts);
}

/** A binary operator except `and` and `or`. @throws Error if the operands do not fit it */
export function operate(operator: string, left: Value, right: Value, budget: Budget): Value {
  switch (operator) {
    case '==':
      return equals(left, right, budget);
    case '!=':
      return !equals(left, right, budget);
    case 'in':
      return contains(right, left, budget);
    case 'not in':
      return !contains(right, left, budget);
    case '<':
      return compare(left, right, budget) < 0;
    case '>':
      return compare(left, right, budget) > 0;
    case '<=':
      return compare(left, right, budget) <= 0;
    case '>=':
      return compare(left, right, budget) >= 0;
    case '~':
      return concatenate([textOf(left, budget), textOf(right, budget)], budget);
    default:
      return calculate(operator, left, right, budget);
  }
}

function calculate(operator: string, left: Value, right: Value, budget: Budget): Value {
  const [a, b] = [numberOf(left), numberOf(right)];
  if (a !== undefined && b !== undefined) {
    const isFloat = left instanceof Float || right instanceof Float || operator === '/';
    const result = arithmetic(operator, a, b);
    if (!Number.isFinite(result)) throw new Error('a number is too large');
    return isFloat || !Number.isInteger(result) ? new Float(result) : result;
  }
  if (operator === '+') return joined(left, right, budget);
  const times = typeof left === 'number' ? left : right;
  const sequence = typeof left === 'number' ? right : left;
  if (operator === '*' && typeof times === 'number') return repeated(sequence, Math.max(0, times), budget);
  throw new Error(`${operator} is not possible between ${typeName(left)} and ${typeName(right)}`);
}

function arithmetic(operator: string, a: number, b: number): number {
  if (b === 0 && ['/', '//', '%'].includes(operator)) throw new Error('division by zero');
  switch (operator) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return a / b;
    case '//':
      return Math.floor(a / b);
    case '%':
      return a - b * Math.floor(a / b);
    case '**':
      return a ** b;
    default:
      throw new Error(`the operator ${operator} is unknown`);
  }
}

/** `+` of texts and lists. A number or boolean may be added to a text, which Python refuses. */
function joined(left: Value, right: Value, budget: Budget): Value {
  if (left instanceof List && right instanceof List && left.isTuple === right.isTuple) {
    budget.allocateItems(left.items.length + right.items.length);
    return new List([...left.items, ...right.items], left.isTuple);
  }
  const isScalar = (value: Value): boolean => value instanceof Text || numberOf(value) !== undefined;
  if ((left instanceof Text || right instanceof Text) && isScalar(left) && isScalar(right)) {
    return concatenate([textOf(left, budget), textOf(right, budget)], budget);
  }
  throw new Error(`+ is not possible between ${typeName(left)} and ${typeName(right)}`);
}

function repeated(value: Value, times: number, budget: Budget): Value {
  if (value instanceof Text) {
    budget.allocate(value.cost * times);
    return Text.concat(Array.from({ length: value.plain === '' ? 0 : times }, () => value));
  }
  if (value instanceof List) {
    budget.allocateItems(value.items.length * times);
    return new List(Array.from({ length: value.items.length === 0 ? 0 : times }, () => value.items).flat());
  }
  throw new Error(`* is not possible with ${typeName(value)}`);
}
