/**
 * The embedding page's side of the protocol: turns calls into requests, and replies into results. It uses no window, so
 * tests run it in Node.
 */
import { aborted, errorFromData, MixtabError, throwIfAborted } from '../contract/errors.ts';
import { isReply, type Method, PROTOCOL, type Request } from './protocol.ts';
import { createAbortableQueue, stopOnAbort } from './queue.ts';
import type { CallOptions, Create, Mixtab, ObserveOptions } from './types.ts';

/** A client whose engine is in a frame, and the function that receives the messages of the frame. */
export interface Remote {
  client: Mixtab;
  /**
   * Takes every message from the frame, after its window and origin were checked. Ignores messages that are not replies.
   */
  receive(data: unknown): void;
  /** The frame was loaded again: rejects the calls that it had not answered. */
  restarted(): void;
}

/**
 * @param post sends a request to the embedded page; not called before the page is ready
 * @param close removes the embedded page
 */
export function createRemote(post: (request: Request) => void, close: () => void): Remote {
  const { call, receive, rejectAll } = createCalls(post);
  const client: Mixtab = {
    models: {
      list: () => call('models.list', {}),
      import: (source, { signal, onProgress } = {}) =>
        call('models.import', { source }, { signal, onEvent: onProgress }),
      remove: (id) => call('models.remove', { id }),
      verify: (id, { onProgress } = {}) => call('models.verify', { id }, { onEvent: onProgress }),
      repair: (id, { signal, onProgress } = {}) => call('models.repair', { id }, { signal, onEvent: onProgress }),
    },
    load: (request, { signal, onProgress } = {}) => call('load', request, { signal, onEvent: onProgress }),
    chat: { completions: { create: createMethod(call, 'chat.completions.create') } },
    completions: { create: createMethod(call, 'completions.create') },
    routing: (text, { model, context, ablation, signal, onProgress } = {}) =>
      call('routing', { text, model, context, ablation }, { signal, onEvent: onProgress }),
    observe: (text, { token, model, context, ablation, top, signal, onProgress } = {} as ObserveOptions) =>
      call('observe', { text, token, model, context, ablation, top }, { signal, onEvent: onProgress }),
    metrics: () => call('metrics', {}),
    close() {
      rejectAll(aborted('The client was closed.'));
      close();
    },
  };
  return { client, receive, restarted: () => rejectAll(frameReloaded()) };
}

const frameReloaded = (): MixtabError =>
  new MixtabError(
    'worker-failed',
    'The frame with the model was loaded again before it had answered.',
    'Call again. A call that names its model loads it.',
  );

/** Sends a request. Resolves with its result, and passes its events to `onEvent` before that. */
type Call = <T>(
  method: Method,
  params: unknown,
  options?: CallOptions & { onEvent?: (event: never) => void },
) => Promise<T>;

/** A request that has no result or error yet. */
interface Pending {
  resolve(value: unknown): void;
  reject(error: unknown): void;
  onEvent(value: unknown): void;
}

function createCalls(post: (request: Request) => void): {
  call: Call;
  receive(data: unknown): void;
  rejectAll(error: MixtabError): void;
} {
  const pending = new Map<number, Pending>();
  let lastId = 0;

  async function call<T>(
    method: Method,
    params: unknown,
    { signal, onEvent = () => {} }: CallOptions & { onEvent?: (event: never) => void } = {},
  ): Promise<T> {
    throwIfAborted(signal);
    lastId += 1;
    const id = lastId;
    const abort = (): void => post({ mixtab: PROTOCOL, id, method: 'abort', params: id });
    return stopOnAbort(
      signal,
      abort,
      () =>
        new Promise<T>((resolve, reject) => {
          pending.set(id, {
            resolve: resolve as (value: unknown) => void,
            reject,
            onEvent: onEvent as (event: unknown) => void,
          });
          post({ mixtab: PROTOCOL, id, method, params });
        }),
    );
  }

  return {
    call,
    receive(data) {
      if (!isReply(data)) return;
      const request = pending.get(data.id);
      if (!request) return;
      if ('event' in data) {
        request.onEvent(data.event);
        return;
      }
      pending.delete(data.id);
      if ('error' in data) request.reject(errorFromData(data.error));
      else request.resolve(data.result);
    },
    rejectAll(error) {
      for (const { reject } of pending.values()) reject(error);
      pending.clear();
    },
  };
}

/**
 * @returns a `create` method that resolves with the whole answer, or with a stream of the chunks that come as events
 */
function createMethod<Params, Whole, Chunk>(
  call: Call,
  method: 'chat.completions.create' | 'completions.create',
): Create<Params, Whole, Chunk> {
  const create = async (
    params: Params & { stream?: boolean | null },
    { signal }: CallOptions = {},
  ): Promise<Whole | AsyncIterable<Chunk>> => {
    if (!params.stream) return call<Whole>(method, params, { signal });
    const { queue, signal: eitherSignal } = createAbortableQueue<Chunk>(signal);
    call(method, params, { signal: eitherSignal, onEvent: queue.push as (event: never) => void }).then(
      queue.end,
      queue.fail,
    );
    return queue;
  };
  return create as Create<Params, Whole, Chunk>;
}
