/**
 * comlink, with errors that keep their `code`, and with callbacks that are done before the call that they belong to.
 * Import this module instead of comlink on both sides of a worker.
 */
import * as Comlink from 'comlink';
import { type ErrorData, errorFromData, errorToData, type MixtabError } from './errors.ts';

interface ThrownValue {
  value: unknown;
}

// comlink's own throw handler copies only name, message and stack. It wraps every thrown value in an object marked with
// a symbol that it does not export. Only comlink's own handler recognises that mark, so its canHandle is reused and only the serialized form is replaced.
const comlinkThrow = Comlink.transferHandlers.get('throw');
if (!comlinkThrow) throw new Error('comlink has no throw handler; its version changed');

Comlink.transferHandlers.set('throw', {
  canHandle: comlinkThrow.canHandle as (value: unknown) => value is ThrownValue,
  serialize: ({ value }: ThrownValue) => [errorToData(value), []],
  deserialize: (data: ErrorData): MixtabError => {
    throw errorFromData(data);
  },
});

export const { proxy, transfer, wrap } = Comlink;

/**
 * Lets the other side call the methods of an object. A method that got callbacks returns only after the other side has
 * handled all calls of them. Without this, the last token of an answer could arrive after the answer's end, because
 * every callback has a message port of its own, and only messages of one port keep their order.
 * @param endpoint default: this worker
 */
export function expose(api: object, endpoint?: Comlink.Endpoint): void {
  const ordered = new Proxy(api, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]) => callInOrder((given) => Reflect.apply(member, target, given), args);
    },
  });
  Comlink.expose(ordered, endpoint);
}

/** Calls `method`, and waits until all calls of the callbacks among its arguments have ended. */
async function callInOrder(method: (args: unknown[]) => unknown, args: unknown[]): Promise<unknown> {
  // The messages of one port keep their order, so the newest call of a callback is the last to end.
  const newest = new Map<unknown, Promise<void>>();
  const watched = args.map((arg) =>
    typeof arg !== 'function'
      ? arg
      : (...values: unknown[]): void => {
          const call = Promise.resolve(arg(...values));
          // The caller's mistake: it does not end the call.
          newest.set(
            arg,
            call.then(
              () => {},
              (error) => console.error('A callback failed:', error),
            ),
          );
        },
  );
  try {
    return await method(watched);
  } finally {
    await Promise.all(newest.values());
  }
}

export type { Remote } from 'comlink';
