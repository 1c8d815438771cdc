/**
 * comlink, with errors that keep their `code`, and with callbacks that take few messages and are done before the call
 * that they belong to. Import this module instead of comlink on both sides of a worker.
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

export const { transfer, wrap } = Comlink;

/** Calls of a callback that come sooner than this after the last message wait for the next one, in milliseconds. */
const MESSAGE_INTERVAL_MS = 16;

type Callback = (...args: never[]) => unknown;

/** The arguments of several calls of a callback, oldest first. */
type Calls = unknown[][];

const callbacks = new WeakSet<Callback>();

/** Marks a callback, so that it can be given to a method of the other side, which must be exposed by {@link expose}. */
export function proxy<Call extends Callback>(callback: Call): Call {
  callbacks.add(callback);
  return callback;
}

Comlink.transferHandlers.set('callback', {
  canHandle: (value): value is Callback => typeof value === 'function' && callbacks.has(value as Callback),
  serialize(callback: Callback) {
    const { port1, port2 } = new MessageChannel();
    // One that fails does not keep the others from being called.
    const callAll = async (calls: Calls): Promise<void> => {
      await Promise.all(calls.map(async (args) => callback(...(args as never[]))));
    };
    Comlink.expose(callAll, port1);
    return [port2, [port2]];
  },
  deserialize(port: MessagePort) {
    port.start();
    return Comlink.wrap(port); // it takes several calls at once: see RemoteCallback
  },
});

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
  const callbacks: RemoteCallback[] = [];
  const given = args.map((arg) => {
    if (typeof arg !== 'function') return arg;
    const callback = new RemoteCallback(arg as (calls: Calls) => unknown);
    callbacks.push(callback);
    return callback.call;
  });
  try {
    return await method(given);
  } finally {
    await Promise.all(callbacks.map((callback) => callback.settled()));
  }
}

/** A callback of the other side. A message costs as much as a token of a small model, so frequent calls share one. */
class RemoteCallback {
  readonly #send: (calls: Calls) => unknown;
  #waiting: Calls = [];
  #sentAt = Number.NEGATIVE_INFINITY;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The newest message. Those of one port keep their order, so it is the last to be handled. */
  #newest: Promise<void> = Promise.resolve();

  constructor(send: (calls: Calls) => unknown) {
    this.#send = send;
  }

  readonly call = (...args: unknown[]): void => {
    this.#waiting.push(args);
    const elapsed = performance.now() - this.#sentAt;
    if (elapsed >= MESSAGE_INTERVAL_MS) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), MESSAGE_INTERVAL_MS - elapsed);
  };

  /** Resolves after all calls so far have been handled. */
  settled(): Promise<void> {
    this.#flush();
    return this.#newest;
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting.length === 0) return;
    const calls = this.#waiting;
    this.#waiting = [];
    this.#sentAt = performance.now();
    this.#newest = Promise.resolve(this.#send(calls)).then(
      () => {},
      // The caller's mistake: it does not end the call.
      (error) => console.error('A callback failed:', error),
    );
  }
}

export type { Remote } from 'comlink';
