/** Jinja's filters (`value | name(arguments)`) and tests (`value is name`). */
import type { Budget } from './budget.ts';
import { compare, contains, equals } from './operators.ts';
import { itemsOf, lengthOf } from './sequences.ts';
import { Text } from './text.ts';
import { joinTexts, replace, strip, textMethod } from './text-methods.ts';
import {
  type Arguments,
  argument,
  Dict,
  Float,
  Func,
  integerArgument,
  isTrue,
  List,
  Namespace,
  numberOf,
  textArgument,
  typeName,
  type Value,
} from './values.ts';
import { jsonOf, textOf } from './write-value.ts';

type Filter = (value: Value, args: Arguments, budget: Budget) => Value;
type Test = (value: Value, operand: Value, budget: Budget) => boolean;

const NO_ARGUMENTS: Arguments = { positional: [], named: new Map() };

/** Applies a filter. @throws Error if there is no such filter, or it does not fit the value */
export function applyFilter(name: string, value: Value, args: Arguments, budget: Budget): Value {
  budget.step();
  const filter = FILTERS.get(name);
  if (!filter) throw new Error(`the filter ${name} is unknown`);
  return filter(value, args, budget);
}

/** Whether a test holds. @throws Error if there is no such test, or it does not fit the value */
export function applyTest(name: string, value: Value, operand: Value, budget: Budget): boolean {
  const test = TESTS.get(name);
  if (!test) throw new Error(`the test ${name} is unknown`);
  return test(value, operand, budget);
}

/** A filter that is a method of texts; it takes other values as the texts that they are written as. */
const asMethod =
  (name: string): Filter =>
  (value, args, budget) =>
    textMethod(textOf(value, budget), name, budget)!(args);

/** Items of a list, paid for because a filter makes another list of them. */
function copiedItems(value: Value, budget: Budget): readonly Value[] {
  const items = itemsOf(value, budget);
  budget.allocateItems(items.length);
  return items;
}

/** A value inside a dictionary or list, by a path like `function.name`. */
function attributeOf(value: Value, path: string): Value {
  return path.split('.').reduce<Value>((inner, part) => {
    if (inner instanceof Dict) return inner.get(part);
    if (inner instanceof Namespace) return inner.entries.get(part);
    return inner instanceof List && /^\d+$/.test(part) ? inner.items[Number(part)] : undefined;
  }, value);
}

const attributeArgument = (args: Arguments, index: number): string | undefined => {
  const value = argument(args, index, 'attribute');
  return value == null ? undefined : textArgument(args, index, 'attribute').plain;
};

/** Items ordered by themselves or an attribute. Pays for n log n comparisons. */
function sorted(items: readonly Value[], key: (item: Value) => Value, budget: Budget): Value[] {
  const keyed = items.map((item) => ({ item, key: key(item) }));
  return keyed.sort((a, b) => compare(a.key, b.key, budget)).map(({ item }) => item);
}

const lowered = (value: Value, budget: Budget): Value =>
  value instanceof Text ? (textMethod(value, 'lower', budget)!(NO_ARGUMENTS) as Text) : value;

function sortFilter(value: Value, args: Arguments, budget: Budget): Value {
  const isCaseSensitive = isTrue(argument(args, 1, 'case_sensitive'));
  const attribute = attributeArgument(args, 2);
  const items = sorted(
    copiedItems(value, budget),
    (item) => {
      const key = attribute === undefined ? item : attributeOf(item, attribute);
      return isCaseSensitive ? key : lowered(key, budget);
    },
    budget,
  );
  return new List(isTrue(argument(args, 0, 'reverse')) ? items.reverse() : items);
}

function dictSort(value: Value, args: Arguments, budget: Budget): Value {
  const isCaseSensitive = isTrue(argument(args, 0, 'case_sensitive'));
  const by = textArgument(args, 1, 'by', new Text('key')).plain === 'value' ? 1 : 0;
  const items = sorted(
    dictItems(value, budget).items,
    (pair) => {
      const key = (pair as List).items[by];
      return isCaseSensitive ? key : lowered(key, budget);
    },
    budget,
  );
  return new List(isTrue(argument(args, 2, 'reverse')) ? items.reverse() : items);
}

/** The pairs of key and value. */
export function dictItems(value: Value, budget: Budget): List {
  if (value === undefined) return new List([]);
  if (!(value instanceof Dict)) throw new Error(`${typeName(value)} has no pairs of key and value`);
  budget.allocateItems(3 * value.entries.size);
  return new List(Array.from(value.entries.values(), ({ key, value: item }) => new List([key, item], true)));
}

function unique(value: Value, _args: Arguments, budget: Budget): Value {
  const kept: Value[] = [];
  for (const item of copiedItems(value, budget)) {
    const key = lowered(item, budget);
    if (!kept.some((other) => equals(lowered(other, budget), key, budget))) kept.push(item);
  }
  return new List(kept);
}

function join(value: Value, args: Arguments, budget: Budget): Value {
  const attribute = attributeArgument(args, 1);
  const texts = copiedItems(value, budget).map((item) =>
    textOf(attribute === undefined ? item : attributeOf(item, attribute), budget),
  );
  return joinTexts(textArgument(args, 0, 'd', Text.EMPTY), texts, budget);
}

/** `map`: an attribute of each item, or a filter applied to each. */
function map(value: Value, args: Arguments, budget: Budget): Value {
  const items = copiedItems(value, budget);
  if (args.named.has('attribute')) {
    const path = textArgument({ positional: [], named: args.named }, 0, 'attribute').plain;
    return new List(items.map((item) => attributeOf(item, path) ?? args.named.get('default')));
  }
  const name = textArgument(args, 0, 'filter').plain;
  const rest = { positional: args.positional.slice(1), named: args.named };
  return new List(items.map((item) => applyFilter(name, item, rest, budget)));
}

/** `select`, `reject`, `selectattr` and `rejectattr`: the items for which a test holds, or does not. */
const choose =
  (isKept: boolean, byAttribute: boolean): Filter =>
  (value, args, budget) => {
    const path = byAttribute ? textArgument(args, 0, 'attribute').plain : undefined;
    const [test, operand] = args.positional.slice(byAttribute ? 1 : 0);
    return new List(
      copiedItems(value, budget).filter((item) => {
        const tested = path === undefined ? item : attributeOf(item, path);
        const holds = test instanceof Text ? applyTest(test.plain, tested, operand, budget) : isTrue(tested);
        return holds === isKept;
      }),
    );
  };

function defaultFilter(value: Value, args: Arguments): Value {
  const isAbsent = value === undefined || (isTrue(argument(args, 1, 'boolean')) && !isTrue(value));
  return isAbsent ? (argument(args, 0, 'default_value') ?? Text.EMPTY) : value;
}

function toJson(value: Value, args: Arguments, budget: Budget): Value {
  const indent = argument(args, 0, 'indent');
  const separators = argument(args, 1, 'separators');
  const [item, key] = separators instanceof List ? separators.items : [];
  const options = {
    ...(typeof indent === 'number' && { indent: Math.min(Math.max(indent, 0), 100) }),
    ...(item instanceof Text && key instanceof Text && { separators: [item.plain, key.plain] as [string, string] }),
    sortKeys: isTrue(args.named.get('sort_keys')),
    ensureAscii: isTrue(args.named.get('ensure_ascii')),
  };
  return jsonOf(value, options, budget);
}

function indent(value: Value, args: Arguments, budget: Budget): Value {
  const width = argument(args, 0, 'width') ?? 4;
  const padding =
    width instanceof Text ? width : new Text(' '.repeat(Math.min(100, integerArgument(args, 0, 'width', 4))));
  const [first, blank] = [isTrue(argument(args, 1, 'first')), isTrue(argument(args, 2, 'blank'))];
  const lines = textMethod(textOf(value, budget), 'split', budget)!({
    positional: [new Text('\n')],
    named: new Map(),
  }) as List;
  const indented = lines.items.map((line, i) => {
    const text = line as Text;
    budget.allocate(text.cost + padding.cost);
    return (i === 0 ? first : blank || text.plain !== '') ? Text.concat([padding, text]) : text;
  });
  return joinTexts(new Text('\n'), indented, budget);
}

/** Longest text that is read as a number. Attack: patterns take quadratic time for a million digits. */
const MAX_NUMBER = 400;

function toInteger(value: Value, args: Arguments): Value {
  const absent = argument(args, 0, 'default') ?? 0;
  if (value instanceof Text) {
    const isWhole = value.plain.length <= MAX_NUMBER && /^\s*[-+]?\d{1,15}\s*$/.test(value.plain);
    return isWhole ? Number(value.plain) : absent;
  }
  const number = numberOf(value);
  return number !== undefined && Number.isFinite(number) ? Math.trunc(number) : absent;
}

function toFloat(value: Value, args: Arguments): Value {
  const isShort = value instanceof Text && value.plain.length <= MAX_NUMBER;
  const isNumeric = isShort && /^\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*$/i.test(value.plain);
  const number = isNumeric ? Number(value.plain) : numberOf(value);
  return number === undefined ? (argument(args, 0, 'default') ?? new Float(0)) : new Float(number);
}

function numeric(value: Value): number {
  const number = numberOf(value);
  if (number === undefined) throw new Error(`${typeName(value)} is not a number`);
  return number;
}

function round(value: Value, args: Arguments): Value {
  const scale = 10 ** integerArgument(args, 0, 'precision', 0);
  const scaled = numeric(value) * scale;
  // Python rounds halves to the even number.
  const rounded = Math.abs(scaled % 1) === 0.5 ? 2 * Math.round(scaled / 2) : Math.round(scaled);
  return new Float(rounded / scale);
}

const extreme =
  (sign: 1 | -1): Filter =>
  (value, _args, budget) =>
    sorted(copiedItems(value, budget), (item) => lowered(item, budget), budget).at(sign === 1 ? -1 : 0);

const FILTERS = new Map<string, Filter>([
  ...['upper', 'lower', 'title', 'capitalize'].map((name) => [name, asMethod(name)] as const),
  [
    'trim',
    (value, args, budget) => {
      const text = textOf(value, budget);
      budget.allocate(text.cost);
      return strip(text, argument(args, 0, 'chars'));
    },
  ],
  [
    'replace',
    (value, args, budget) => {
      const text = textOf(value, budget);
      const count = argument(args, 2, 'count') == null ? -1 : integerArgument(args, 2, 'count');
      budget.allocate(text.cost);
      return replace(text, textArgument(args, 0, 'old'), textArgument(args, 1, 'new'), count, budget);
    },
  ],
  ['string', (value, _args, budget) => textOf(value, budget)],
  ['safe', (value) => value],
  ['indent', indent],
  ['tojson', toJson],
  ['int', toInteger],
  ['float', toFloat],
  ['abs', (value) => (value instanceof Float ? new Float(Math.abs(value.value)) : Math.abs(numeric(value)))],
  ['round', round],
  ['default', defaultFilter],
  ['d', defaultFilter],
  ['length', (value, _args, budget) => lengthOf(value, budget)],
  ['count', (value, _args, budget) => lengthOf(value, budget)],
  ['first', (value, _args, budget) => itemsOf(value, budget)[0]],
  ['last', (value, _args, budget) => itemsOf(value, budget).at(-1)],
  ['list', (value, _args, budget) => new List(copiedItems(value, budget))],
  [
    'reverse',
    (value, _args, budget) => {
      const items = [...copiedItems(value, budget)].reverse();
      return value instanceof Text ? Text.concat(items as Text[]) : new List(items);
    },
  ],
  ['sort', sortFilter],
  ['dictsort', dictSort],
  ['items', (value, _args, budget) => dictItems(value, budget)],
  ['unique', unique],
  ['join', join],
  ['map', map],
  ['select', choose(true, false)],
  ['reject', choose(false, false)],
  ['selectattr', choose(true, true)],
  ['rejectattr', choose(false, true)],
  ['max', extreme(1)],
  ['min', extreme(-1)],
  ['sum', (value, _args, budget) => copiedItems(value, budget).reduce<number>((sum, item) => sum + numeric(item), 0)],
]);

const isInteger = (value: Value): value is number => typeof value === 'number';

const remainder = (value: Value, divisor: Value): number => numeric(value) % numeric(divisor);

const TESTS = new Map<string, Test>([
  ['defined', (value) => value !== undefined],
  ['undefined', (value) => value === undefined],
  ['none', (value) => value === null],
  ['true', (value) => value === true],
  ['false', (value) => value === false],
  ['boolean', (value) => typeof value === 'boolean'],
  ['integer', isInteger],
  ['float', (value) => value instanceof Float],
  ['number', (value) => numberOf(value) !== undefined],
  ['string', (value) => value instanceof Text],
  ['mapping', (value) => value instanceof Dict],
  ['sequence', (value) => value instanceof List || value instanceof Text || value instanceof Dict],
  [
    'iterable',
    (value) => value === undefined || value instanceof List || value instanceof Text || value instanceof Dict,
  ],
  ['callable', (value) => value instanceof Func],
  ['odd', (value) => Math.abs(remainder(value, 2)) === 1],
  ['even', (value) => remainder(value, 2) === 0],
  ['divisibleby', (value, divisor) => remainder(value, divisor) === 0],
  ['lower', (value, _operand, budget) => textOf(value, budget).plain === textOf(value, budget).plain.toLowerCase()],
  ['upper', (value, _operand, budget) => textOf(value, budget).plain === textOf(value, budget).plain.toUpperCase()],
  ['in', (value, container, budget) => contains(container, value, budget)],
  ...['eq', 'equalto', '=='].map((name): [string, Test] => [name, equals]),
  ...['ne', '!='].map((name): [string, Test] => [name, (a, b, budget) => !equals(a, b, budget)]),
  ...['lt', 'lessthan', '<'].map((name): [string, Test] => [name, (a, b, budget) => compare(a, b, budget) < 0]),
  ...['gt', 'greaterthan', '>'].map((name): [string, Test] => [name, (a, b, budget) => compare(a, b, budget) > 0]),
  ...['le', '<='].map((name): [string, Test] => [name, (a, b, budget) => compare(a, b, budget) <= 0]),
  ...['ge', '>='].map((name): [string, Test] => [name, (a, b, budget) => compare(a, b, budget) >= 0]),
]);
