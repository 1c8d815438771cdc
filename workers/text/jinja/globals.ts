/** The functions that chat templates use, as in Hugging Face's `apply_chat_template`. */
import type { Budget } from './budget.ts';
import { Text } from './text.ts';
import { type Arguments, Dict, Func, integerArgument, List, Namespace, textArgument, type Value } from './values.ts';

/** The functions by their names. */
export function globalFunctions(budget: Budget): [string, Value][] {
  const functions: Record<string, (args: Arguments) => Value> = {
    range: (args) => range(args, budget),
    namespace: ({ positional, named }) => {
      const [initial] = positional;
      const fields =
        initial instanceof Dict ? Array.from(initial.entries, ([key, { value }]) => [key, value] as const) : [];
      budget.allocateItems(fields.length + named.size + 1);
      return new Namespace(new Map([...fields, ...named]));
    },
    dict: ({ named }) => {
      budget.allocateItems(named.size + 1);
      return Dict.of(Object.fromEntries(named));
    },
    raise_exception: (args) => {
      throw new Error(textArgument(args, 0, 'message').plain);
    },
    strftime_now: (args) => {
      const format = textArgument(args, 0, 'format').plain;
      budget.allocate(10 * format.length);
      return new Text(formatDate(new Date(), format));
    },
  };
  return Object.entries(functions).map(([name, call]) => [name, new Func(call)]);
}

/** Python's `range`. */
function range(args: Arguments, budget: Budget): List {
  const first = integerArgument(args, 0, 'start');
  const [start, stop] = args.positional.length > 1 ? [first, integerArgument(args, 1, 'stop')] : [0, first];
  const step = integerArgument(args, 2, 'step', 1);
  const count = Math.max(0, Math.ceil((stop - start) / step));
  try {
    budget.allocateItems(count);
  } catch {
    throw new Error(`range() of ${count} numbers is too long`);
  }
  return new List(Array.from({ length: count }, (_, i) => start + i * step));
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
