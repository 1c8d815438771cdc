/** The syntax tree of a template, as the parser of @huggingface/jinja makes it. Types only. */

/** A statement or an expression. A text outside of tags is a `StringLiteral`. */
export type Node = Statement | Expression;

export type Statement =
  | { type: 'If'; test: Expression; body: Node[]; alternate: Node[] }
  | { type: 'For'; loopvar: Target; iterable: Expression; body: Node[]; defaultBlock: Node[] }
  | { type: 'Set'; assignee: Target | Member; value: Expression | null; body: Node[] }
  | { type: 'Macro'; name: Name; args: Parameter[]; body: Node[] }
  | { type: 'CallStatement'; call: Call; callerArgs: Parameter[] | null; body: Node[] }
  | { type: 'FilterStatement'; filter: Name | Call; body: Node[] }
  | { type: 'Break' | 'Continue' | 'Comment' };

export type Expression =
  | Name
  | Call
  | Member
  | Tuple
  | { type: 'StringLiteral'; value: string }
  | { type: 'IntegerLiteral' | 'FloatLiteral'; value: number }
  | { type: 'ArrayLiteral'; value: Expression[] }
  | { type: 'ObjectLiteral'; value: Map<Expression, Expression> }
  | { type: 'BinaryExpression'; operator: { value: string }; left: Expression; right: Expression }
  | { type: 'UnaryExpression'; operator: { value: string }; argument: Expression }
  | { type: 'FilterExpression'; operand: Expression; filter: Name | Call }
  | { type: 'TestExpression'; operand: Expression; negate: boolean; test: Name }
  | { type: 'SelectExpression'; lhs: Expression; test: Expression }
  | { type: 'Ternary'; condition: Expression; trueExpr: Expression; falseExpr: Expression };

export interface Name {
  type: 'Identifier';
  value: string;
}

export interface Tuple {
  type: 'TupleLiteral';
  value: Expression[];
}

/** `object.name`, or `object[property]` if `computed`. */
export interface Member {
  type: 'MemberExpression';
  object: Expression;
  property: Expression | Slice;
  computed: boolean;
}

export interface Slice {
  type: 'SliceExpression';
  start: Expression | undefined;
  stop: Expression | undefined;
  step: Expression | undefined;
}

export interface Call {
  type: 'CallExpression';
  callee: Expression;
  args: Argument[];
}

/** A name with a value: an argument of a call, or a parameter with its default. */
export interface Keyword {
  type: 'KeywordArgumentExpression';
  key: Name;
  value: Expression;
}

export type Argument =
  | Expression
  | Keyword
  | { type: 'SpreadExpression'; argument: Expression }
  | { type: 'KeywordSpreadExpression'; argument: Expression };

export type Parameter = Name | Keyword;

/** What a `for` loop or a `set` assigns to. */
export type Target = Name | Tuple;
