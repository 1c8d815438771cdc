/**
 * Renders chat templates: an interpreter for the part of Jinja that they use, with Python's meaning. It reads the syntax
 * tree of @huggingface/jinja, whose own interpreter limits neither time nor memory and does not know where a character
 * comes from. Templates cannot reach JavaScript: their values are only the ones in values.ts.
 */
import { Template } from '@huggingface/jinja';
import type { Budget } from './budget.ts';
import { argumentsOf, evaluate, filtered } from './evaluate.ts';
import { globalFunctions } from './globals.ts';
import type { Expression, Member, Node, Parameter, Statement, Target } from './nodes.ts';
import { concatenate } from './operators.ts';
import { Scope } from './scope.ts';
import { itemsOf } from './sequences.ts';
import { rewriteEscapes } from './string-escapes.ts';
import type { Text } from './text.ts';
import { type Arguments, Dict, Func, isTrue, List, Namespace, typeName, type Value } from './values.ts';
import { textOf } from './write-value.ts';

/** Longest template. Attack: a file whose template takes long to read. The longest real ones have 30,000 characters. */
const MAX_TEMPLATE = 256 * 1024;
/** Most blanks in a row. Attack: the parser's patterns take quadratic time for them. Real templates indent. */
const TOO_MANY_BLANKS = /\s{1001}/;

/** A parsed template. */
export type Program = readonly Node[];

/** @throws Error if the template is too long or has an error */
export function parseTemplate(source: string): Program {
  if (source.length > MAX_TEMPLATE) throw new Error(`it has more than ${MAX_TEMPLATE} characters`);
  if (TOO_MANY_BLANKS.test(source)) throw new Error('it has too many blanks in a row');
  return new Template(rewriteEscapes(source.toWellFormed())).parsed.body as unknown as Node[];
}

/**
 * Renders a template.
 * @param variables what the template may read
 * @param budget of this and all other attempts
 * @throws Error if the budget is used up, or with the message that the template passes to `raise_exception`
 */
export function render(program: Program, variables: Record<string, Value>, budget: Budget): Text {
  const scope = new Scope(new Scope(undefined, globalFunctions(budget)), Object.entries(variables));
  return new Renderer(budget).text(program, scope);
}

/** What a `break` or `continue` does to the surrounding loop. */
type Jump = 'Break' | 'Continue' | undefined;

/** Runs statements. */
class Renderer {
  constructor(private readonly budget: Budget) {}

  /** What the nodes write. */
  text(nodes: readonly Node[], scope: Scope): Text {
    const parts: Text[] = [];
    this.#run(nodes, scope, parts);
    return concatenate(parts, this.budget);
  }

  /** @param parts what the nodes write is appended here */
  #run(nodes: readonly Node[], scope: Scope, parts: Text[]): Jump {
    for (const node of nodes) {
      const jump = this.#runNode(node, scope, parts);
      if (jump) return jump;
    }
    return undefined;
  }

  #runNode(node: Node, scope: Scope, parts: Text[]): Jump {
    this.budget.step();
    switch (node.type) {
      case 'If':
        return this.#run(isTrue(this.#value(node.test, scope)) ? node.body : node.alternate, scope, parts);
      case 'For':
        this.#loop(node, scope, parts);
        return undefined;
      case 'Set':
        this.#set(node, scope);
        return undefined;
      case 'Macro':
        scope.set(node.name.value, this.#macro(node.args, node.body, scope));
        return undefined;
      case 'CallStatement':
        this.#write(this.#callBlock(node, scope), parts);
        return undefined;
      case 'FilterStatement':
        this.#write(filtered(this.text(node.body, scope), node.filter, scope, this.budget), parts);
        return undefined;
      case 'Break':
      case 'Continue':
        return node.type;
      case 'Comment':
        return undefined;
      default:
        this.#write(this.#value(node, scope), parts);
        return undefined;
    }
  }

  #value(node: Expression, scope: Scope): Value {
    return evaluate(node, scope, this.budget);
  }

  #write(value: Value, parts: Text[]): void {
    const text = textOf(value, this.budget);
    this.budget.allocateItems(1);
    if (text.plain !== '') parts.push(text);
  }

  #loop(node: Extract<Statement, { type: 'For' }>, scope: Scope, parts: Text[]): void {
    const { iterable } = node;
    const filter = iterable.type === 'SelectExpression' ? iterable.test : undefined;
    const all = itemsOf(
      this.#value(iterable.type === 'SelectExpression' ? iterable.lhs : iterable, scope),
      this.budget,
    );
    const items = filter ? all.filter((item) => this.#isKept(item, filter, node.loopvar, scope)) : all;
    for (const [i, item] of items.entries()) {
      this.budget.allocateItems(2);
      const inner = new Scope(scope, [['loop', loopValue(items, i, this.budget)]]);
      inner.assign(node.loopvar, item);
      if (this.#run(node.body, inner, parts) === 'Break') break;
    }
    if (items.length === 0) this.#run(node.defaultBlock, scope, parts);
  }

  #isKept(item: Value, filter: Expression, target: Target, scope: Scope): boolean {
    this.budget.allocateItems(1);
    const inner = new Scope(scope);
    inner.assign(target, item);
    return isTrue(this.#value(filter, inner));
  }

  #set({ assignee, value, body }: Extract<Statement, { type: 'Set' }>, scope: Scope): void {
    const assigned = value ? this.#value(value, scope) : this.text(body, scope);
    this.budget.allocateItems(1);
    if (assignee.type === 'MemberExpression') this.#setField(assignee, assigned, scope);
    else scope.assign(assignee, assigned);
  }

  #setField({ object, property }: Member, value: Value, scope: Scope): void {
    const target = this.#value(object, scope);
    if (!(target instanceof Namespace) || property.type !== 'Identifier') {
      throw new Error(`a field of ${typeName(target)} cannot be set, only one of a namespace`);
    }
    target.entries.set(property.value, value);
  }

  /** A function that writes its body. It sees the variables around its definition. */
  #macro(parameters: readonly Parameter[], body: readonly Node[], scope: Scope): Func {
    return new Func((args) => {
      const inner = new Scope(scope);
      this.#bind(parameters, args, inner);
      return this.text(body, inner);
    });
  }

  #bind(parameters: readonly Parameter[], { positional, named }: Arguments, scope: Scope): void {
    this.budget.allocateItems(1 + parameters.length + positional.length + named.size);
    const rest = new Map(named);
    for (const [i, parameter] of parameters.entries()) {
      const key = parameter.type === 'Identifier' ? parameter.value : parameter.key.value;
      const given = i < positional.length ? positional[i] : rest.get(key);
      rest.delete(key);
      const isDefault = given === undefined && parameter.type === 'KeywordArgumentExpression';
      scope.set(key, isDefault ? this.#value(parameter.value, scope) : given);
    }
    scope.set('varargs', new List(positional.slice(parameters.length), true));
    scope.set('caller', rest.get('caller'));
    rest.delete('caller');
    scope.set('kwargs', Dict.of(Object.fromEntries(rest)));
  }

  #callBlock({ call, callerArgs, body }: Extract<Statement, { type: 'CallStatement' }>, scope: Scope): Value {
    const macro = this.#value(call.callee, scope);
    if (!(macro instanceof Func)) throw new Error(`${typeName(macro)} cannot be called`);
    const { positional, named } = argumentsOf(call.args, scope, this.budget);
    const caller = this.#macro(callerArgs ?? [], body, scope);
    return this.budget.nested(() => macro.call({ positional, named: new Map([...named, ['caller', caller]]) }));
  }
}

/** The variable `loop`. */
function loopValue(items: readonly Value[], i: number, budget: Budget): Dict {
  budget.allocateItems(12);
  return Dict.of({
    index: i + 1,
    index0: i,
    revindex: items.length - i,
    revindex0: items.length - i - 1,
    first: i === 0,
    last: i === items.length - 1,
    length: items.length,
    previtem: items[i - 1],
    nextitem: items[i + 1],
    cycle: new Func(({ positional }) => positional[i % positional.length]),
  });
}
