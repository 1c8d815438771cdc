/**
 * Runs a parsed Jinja template under limits. @huggingface/jinja gives templates no access to JavaScript, but does not
 * limit their time and memory. A hostile model file could occupy the worker forever, which cannot be interrupted while
 * it renders.
 */
import { Environment, Interpreter, type Template } from '@huggingface/jinja';

/** Longest rendering. Attack: nested loops. Real templates take milliseconds. */
const MAX_MILLISECONDS = 2000;
/** Most characters in a value. Attack: a loop that doubles a text. Real prompts have less than a million. */
const MAX_TEXT = 8_000_000;
/** Most items in a list, and thus most rounds of a loop. Attack: `range(10 ** 9)`. Real templates loop over turns. */
const MAX_ITEMS = 10_000;

type Node = Parameters<Interpreter['evaluate']>[0];
type Value = ReturnType<Interpreter['evaluate']>;

/** An interpreter that checks the limits at every evaluation. All of them go through `evaluate`. */
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
    if (Array.isArray(value) && value.length > MAX_ITEMS) {
      throw new Error(`it makes a list of more than ${MAX_ITEMS} items`);
    }
    return result;
  }
}

/**
 * Renders a template with the globals that chat templates use.
 * @param milliseconds longest time that it may take
 * @throws Error if a limit is exceeded, or with the message that the template passes to `raise_exception`
 */
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

/** Python's `range`, with a limited number of items. */
function limitedRange(first: number, second?: number | null, step = 1): number[] {
  const [start, stop] = typeof second === 'number' ? [first, second] : [0, first];
  const count = Math.max(0, Math.ceil((stop - start) / step));
  if (!(count <= MAX_ITEMS)) throw new Error(`range() of ${count} numbers is too long`);
  return Array.from({ length: count }, (_, i) => start + i * step);
}

/** Python's `strftime` in English, with the codes that chat templates use. */
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
