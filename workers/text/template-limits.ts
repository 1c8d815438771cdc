/**
 * Runs a parsed Jinja template under limits. @huggingface/jinja keeps templates away from JavaScript, but
 * lets them run for as long as they like; a model file comes from anywhere, and the worker cannot be
 * stopped while it renders.
 */
import { Environment, Interpreter, type Template } from '@huggingface/jinja';

/** Time a template may take. Real ones take milliseconds; nested loops end here. */
const MAX_MILLISECONDS = 2000;
/** Characters in any one value: doubling a text in a loop ends here. Real prompts are under 1 MB. */
const MAX_TEXT = 8_000_000;
/** Items of a list, so also what one loop can run through; templates go through messages. */
const MAX_ITEMS = 10_000;

type Node = Parameters<Interpreter['evaluate']>[0];
type Value = ReturnType<Interpreter['evaluate']>;

/** Every evaluation of the interpreter goes through `evaluate`, so this sees them all. */
class LimitedInterpreter extends Interpreter {
  readonly #deadline: number;

  constructor(environment: Environment, milliseconds: number) {
    super(environment);
    this.#deadline = performance.now() + milliseconds;
  }

  override evaluate(node: Node, environment: Environment): Value {
    if (performance.now() > this.#deadline) throw new Error('it takes too long');
    const result = super.evaluate(node, environment);
    const value: unknown = result.value;
    if (typeof value === 'string' && value.length > MAX_TEXT) {
      throw new Error(`it makes a text of more than ${MAX_TEXT} characters`);
    }
    if (Array.isArray(value) && value.length > MAX_ITEMS)
      throw new Error(`it makes a list of more than ${MAX_ITEMS} items`);
    return result;
  }
}

/** Renders with the globals that chat templates use. Throws the template's own `raise_exception` as an Error. */
export function renderLimited(
  template: Template,
  variables: Record<string, unknown>,
  milliseconds = MAX_MILLISECONDS,
): string {
  const environment = new Environment();
  const globals = {
    true: true,
    false: false,
    none: null,
    True: true,
    False: false,
    None: null,
    raise_exception: (message: string) => {
      throw new Error(message);
    },
    range: limitedRange,
    strftime_now: (format: string) => formatDate(new Date(), format),
  };
  for (const [name, value] of Object.entries({ ...globals, ...variables })) environment.set(name, value);
  return String(new LimitedInterpreter(environment, milliseconds).run(template.parsed).value);
}

/** Python's `range`. */
function limitedRange(first: number, second?: number | null, step = 1): number[] {
  const [start, stop] = typeof second === 'number' ? [first, second] : [0, first];
  const count = Math.max(0, Math.ceil((stop - start) / step));
  if (!(count <= MAX_ITEMS)) throw new Error(`range() of ${count} numbers is too long`);
  return Array.from({ length: count }, (_, i) => start + i * step);
}

/** The codes of Python's `strftime` that chat templates use, in English as there. */
export function formatDate(date: Date, format: string): string {
  const name = (options: Intl.DateTimeFormatOptions): string => date.toLocaleDateString('en-US', options);
  const two = (n: number): string => String(n).padStart(2, '0');
  const codes: Record<string, () => string> = {
    Y: () => String(date.getFullYear()),
    m: () => two(date.getMonth() + 1),
    d: () => two(date.getDate()),
    B: () => name({ month: 'long' }),
    b: () => name({ month: 'short' }),
    A: () => name({ weekday: 'long' }),
    a: () => name({ weekday: 'short' }),
    H: () => two(date.getHours()),
    M: () => two(date.getMinutes()),
    S: () => two(date.getSeconds()),
    '%': () => '%',
  };
  return format.replace(/%([YmdBbAaHMS%])/g, (_match, code: string) => codes[code]());
}
