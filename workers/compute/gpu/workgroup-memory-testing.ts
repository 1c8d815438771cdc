/** Counts the workgroup memory that a kernel declares, from its WGSL and the values of its overrides. */
import type { Bytes } from '../../../src/contract/ids.ts';
import type { PlannedKernel } from './pipelines.ts';

const SCALARS: Record<string, number> = {
  f32: 4,
  u32: 4,
  i32: 4,
  'vec2<f32>': 8,
  'vec2<u32>': 8,
  'vec3<f32>': 16, // in an array
  'vec4<f32>': 16,
  'vec4<u32>': 16,
};

/** The bytes of all `var<workgroup>` of a kernel. All of them are used: WGSL has no other storage of that kind. */
export function workgroupMemory({ kernel, overrides }: PlannedKernel): Bytes {
  const code = kernel.code.join('\n').replace(/\/\/.*$/gm, '');
  const source = new Source(code, overrides);
  return [...code.matchAll(/var<workgroup>\s+\w+\s*:\s*([^;]+);/g)].reduce(
    (sum, [, type]) => sum + source.sizeOf(type),
    0,
  );
}

/** Declarations of a shader, evaluated when they are needed. */
class Source {
  constructor(
    private readonly code: string,
    private readonly overrides: Readonly<Record<string, number>>,
  ) {}

  sizeOf(written: string): Bytes {
    const type = written.trim();
    if (type in SCALARS) return SCALARS[type];
    const [, inner] = /^atomic<(.*)>$/s.exec(type) ?? [];
    if (inner) return this.sizeOf(inner);
    const [, element, length] = /^array<(.*),([^,]*)>$/s.exec(type) ?? [];
    if (element) return this.sizeOf(element) * this.#value(length);
    const [, alias] = new RegExp(`alias ${type} = ([^;]+);`).exec(this.code) ?? [];
    if (alias) return this.sizeOf(alias);
    const [, fields] = new RegExp(`struct ${type} \\{([^}]*)\\}`).exec(this.code) ?? [];
    if (!fields) throw new Error(`unknown type ${type}`);
    return [...fields.matchAll(/\w+\s*:\s*((?:[^,<]|<[^>]*>)+)/g)].reduce(
      (sum, [, field]) => sum + this.sizeOf(field),
      0,
    );
  }

  /** The value of a name, a number, or an expression with `+ - * / <<` and parentheses, in whole numbers. */
  #value(expression: string): number {
    const tokens = expression.match(/\w+|<<|[-+*/()]/g) ?? [];
    const operand = (): number => {
      const token = tokens.shift()!;
      if (token !== '(') return /^\d/.test(token) ? Number.parseInt(token, 10) : this.#named(token);
      const inside = shifted();
      tokens.shift();
      return inside;
    };
    const chain = (next: () => number, operators: Record<string, (a: number, b: number) => number>) => (): number => {
      let value = next();
      while (tokens[0] !== undefined && tokens[0] in operators) value = operators[tokens.shift()!](value, next());
      return value;
    };
    const product = chain(operand, { '*': (a, b) => a * b, '/': (a, b) => Math.floor(a / b) });
    const sum = chain(product, { '+': (a, b) => a + b, '-': (a, b) => a - b });
    const shifted = chain(sum, { '<<': (a, b) => a * 2 ** b });
    return shifted();
  }

  #named(name: string): number {
    if (name in this.overrides) return this.overrides[name];
    const [, value] = new RegExp(`(?:const|override) ${name}(?:\\s*:\\s*\\w+)? = ([^;]+);`).exec(this.code) ?? [];
    if (value === undefined) throw new Error(`unknown name ${name}`);
    return this.#value(value);
  }
}
