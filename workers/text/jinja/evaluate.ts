/** Evaluates the expressions of a template. Every node costs an operation of the budget. */
import type { Budget } from './budget.ts';
import { applyFilter, applyTest, dictItems } from './filters.ts';
import type { Argument, Call, Expression, Member, Name } from './nodes.ts';
import { operate } from './operators.ts';
import type { Scope } from './scope.ts';
import { characterAt, sliceOf } from './sequences.ts';
import { Text } from './text.ts';
import { textMethod } from './text-methods.ts';
import {
  type Arguments,
  Dict,
  Float,
  Func,
  isTrue,
  List,
  Namespace,
  numberOf,
  textArgument,
  typeName,
  type Value,
} from './values.ts';

/** The value of an expression. @throws Error with the cause, also if the budget is used up */
export function evaluate(node: Expression, scope: Scope, budget: Budget): Value {
  budget.step();
  switch (node.type) {
    case 'StringLiteral':
      return new Text(node.value);
    case 'IntegerLiteral':
      return node.value;
    case 'FloatLiteral':
      return new Float(node.value);
    case 'ArrayLiteral':
    case 'TupleLiteral':
      budget.allocateItems(node.value.length + 1);
      return new List(
        node.value.map((item) => evaluate(item, scope, budget)),
        node.type === 'TupleLiteral',
      );
    case 'ObjectLiteral':
      return dictOf(node.value, scope, budget);
    case 'Identifier':
      return constant(node.value, scope);
    case 'MemberExpression':
      return memberOf(node, scope, budget);
    case 'CallExpression':
      return callOf(node, scope, budget);
    case 'FilterExpression': {
      const value = evaluate(node.operand, scope, budget);
      return filtered(value, node.filter, scope, budget);
    }
    case 'TestExpression': {
      const holds = applyTest(node.test.value, evaluate(node.operand, scope, budget), undefined, budget);
      return holds !== node.negate;
    }
    case 'SelectExpression':
      return isTrue(evaluate(node.test, scope, budget)) ? evaluate(node.lhs, scope, budget) : undefined;
    case 'Ternary':
      return evaluate(isTrue(evaluate(node.condition, scope, budget)) ? node.trueExpr : node.falseExpr, scope, budget);
    case 'UnaryExpression':
      return unary(node.operator.value, evaluate(node.argument, scope, budget));
    case 'BinaryExpression':
      return binary(node, scope, budget);
    default:
      throw new Error(`${(node as { type: string }).type} is not an expression`);
  }
}

const CONSTANTS = new Map<string, Value>([
  ['true', true],
  ['True', true],
  ['false', false],
  ['False', false],
  ['none', null],
  ['None', null],
]);

const constant = (name: string, scope: Scope): Value => (CONSTANTS.has(name) ? CONSTANTS.get(name) : scope.get(name));

function dictOf(pairs: Map<Expression, Expression>, scope: Scope, budget: Budget): Dict {
  budget.allocateItems(2 * pairs.size + 1);
  const entries = new Map<string, { key: Text; value: Value }>();
  for (const [keyNode, valueNode] of pairs) {
    const key = evaluate(keyNode, scope, budget);
    if (!(key instanceof Text)) throw new Error(`a key must be a text, not ${typeName(key)}`);
    entries.set(key.plain, { key, value: evaluate(valueNode, scope, budget) });
  }
  return new Dict(entries);
}

function unary(operator: string, value: Value): Value {
  if (operator === 'not') return !isTrue(value);
  const number = numberOf(value);
  if (number === undefined) throw new Error(`${operator}${typeName(value)} is not possible`);
  const result = operator === '-' ? -number : number;
  return value instanceof Float ? new Float(result) : result;
}

function binary(node: Extract<Expression, { type: 'BinaryExpression' }>, scope: Scope, budget: Budget): Value {
  const operator = node.operator.value;
  const left = evaluate(node.left, scope, budget);
  if (operator === 'and') return isTrue(left) ? evaluate(node.right, scope, budget) : left;
  if (operator === 'or') return isTrue(left) ? left : evaluate(node.right, scope, budget);
  return operate(operator, left, evaluate(node.right, scope, budget), budget);
}

/** Applies the filter that a `|` or a `filter` block names. */
export function filtered(value: Value, filter: Name | Call, scope: Scope, budget: Budget): Value {
  if (filter.type === 'Identifier') {
    return applyFilter(filter.value, value, { positional: [], named: new Map() }, budget);
  }
  if (filter.callee.type !== 'Identifier') throw new Error('a filter must have a name');
  return applyFilter(filter.callee.value, value, argumentsOf(filter.args, scope, budget), budget);
}

function memberOf(node: Member, scope: Scope, budget: Budget): Value {
  const object = evaluate(node.object, scope, budget);
  const { property } = node;
  if (property.type === 'SliceExpression') {
    const bound = (part: Expression | undefined): Value => part && evaluate(part, scope, budget);
    return sliceOf(object, [bound(property.start), bound(property.stop), bound(property.step)], budget);
  }
  if (node.computed) {
    const key = evaluate(property, scope, budget);
    return itemOf(object, key, budget) ?? (key instanceof Text ? methodOf(object, key.plain, budget) : undefined);
  }
  if (property.type === 'IntegerLiteral') return itemOf(object, property.value, budget);
  // As in Jinja, `object.items` is the method, even if the dictionary has that key.
  const name = (property as Name).value;
  return methodOf(object, name, budget) ?? itemOf(object, new Text(name), budget);
}

/** `object[key]`; undefined if there is no such item. */
function itemOf(object: Value, key: Value, budget: Budget): Value {
  if (key instanceof Text) {
    if (object instanceof Dict) return object.get(key.plain);
    return object instanceof Namespace ? object.entries.get(key.plain) : undefined;
  }
  if (typeof key !== 'number') return undefined;
  if (object instanceof List) return object.items.at(key);
  return object instanceof Text ? characterAt(object, key, budget) : undefined;
}

/** The method of a value, or undefined if it has none of this name. */
function methodOf(object: Value, name: string, budget: Budget): Func | undefined {
  if (object instanceof Text) {
    const method = textMethod(object, name, budget);
    return method && new Func(method);
  }
  if (!(object instanceof Dict)) return undefined;
  switch (name) {
    case 'get':
      return new Func((args) => {
        const { plain } = textArgument(args, 0, 'key');
        const [, absent = null] = args.positional;
        return object.entries.has(plain) ? object.get(plain) : absent;
      });
    case 'items':
      return new Func(() => dictItems(object, budget));
    case 'keys':
      return new Func(() => new List(dictItems(object, budget).items.map((pair) => (pair as List).items[0])));
    case 'values':
      return new Func(() => new List(dictItems(object, budget).items.map((pair) => (pair as List).items[1])));
    default:
      return undefined;
  }
}

function callOf(node: Call, scope: Scope, budget: Budget): Value {
  const callee = evaluate(node.callee, scope, budget);
  if (!(callee instanceof Func)) throw new Error(`${calledName(node)} is ${typeName(callee)}, not a function`);
  const args = argumentsOf(node.args, scope, budget);
  return budget.nested(() => callee.call(args));
}

const calledName = ({ callee }: Call): string => {
  if (callee.type === 'Identifier') return callee.value;
  return callee.type === 'MemberExpression' && callee.property.type === 'Identifier'
    ? callee.property.value
    : 'the result';
};

/** The values of a call's arguments. @throws Error if one is given twice */
export function argumentsOf(nodes: readonly Argument[], scope: Scope, budget: Budget): Arguments {
  const positional: Value[] = [];
  const named = new Map<string, Value>();
  const name = (key: string, value: Value): void => {
    if (named.has(key)) throw new Error(`the argument ${key} is given twice`);
    named.set(key, value);
  };
  for (const node of nodes) {
    if (node.type === 'KeywordArgumentExpression') name(node.key.value, evaluate(node.value, scope, budget));
    else if (node.type === 'SpreadExpression') {
      const list = evaluate(node.argument, scope, budget);
      if (!(list instanceof List)) throw new Error(`${typeName(list)} cannot be used as arguments`);
      budget.allocateItems(list.items.length);
      for (const item of list.items) positional.push(item);
    } else if (node.type === 'KeywordSpreadExpression') {
      const dict = evaluate(node.argument, scope, budget);
      if (!(dict instanceof Dict)) throw new Error(`${typeName(dict)} cannot be used as arguments`);
      budget.allocateItems(dict.entries.size);
      for (const [key, { value }] of dict.entries) name(key, value);
    } else positional.push(evaluate(node, scope, budget));
  }
  return { positional, named };
}
