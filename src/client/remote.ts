/** The embedding page's side of the protocol: calls to requests, replies to answers. Knows no window. */
import { aborted, errorFromData } from '../contract/errors.ts';
import { isReply, type Method, PROTOCOL, type Request } from './protocol.ts';
import { createQueue } from './queue.ts';
import type { CallOptions, Mixtab } from './types.ts';

interface Pending {
  resolve(value: unknown): void;
  reject(error: unknown): void;
  event(value: unknown): void;
}

export interface Remote {
  client: Mixtab;
  /** For every message whose origin was checked. */
  receive(data: unknown): void;
}

/** @param post sends a request to the embedded page; called when it listens */
export function createRemote(post: (request: Request) => void, close: () => void): Remote {
  const pending = new Map<number, Pending>();
  let last = 0;

  function call<T>(
    method: Method,
    params: unknown,
    { signal, onEvent = () => {} }: CallOptions & { onEvent?: (event: never) => void } = {},
  ): Promise<T> {
    if (signal?.aborted) return Promise.reject(aborted('The request was aborted.'));
    last += 1;
    const id = last;
    const abort = (): void => post({ mixtab: PROTOCOL, id, method: 'abort', params: id });
    signal?.addEventListener('abort', abort);
    return new Promise<T>((resolve, reject) => {
      pending.set(id, {
        resolve: resolve as (value: unknown) => void,
        reject,
        event: onEvent as (event: unknown) => void,
      });
      post({ mixtab: PROTOCOL, id, method, params });
    }).finally(() => signal?.removeEventListener('abort', abort));
  }

  const create =
    (method: 'chat.completions.create' | 'completions.create') =>
    async (params: { stream?: boolean }, { signal }: CallOptions = {}) => {
      if (!params.stream) return call(method, params, signal && { signal });
      const leave = new AbortController();
      const queue = createQueue<unknown>(() => leave.abort());
      const either = signal ? AbortSignal.any([signal, leave.signal]) : leave.signal;
      call(method, params, { signal: either, onEvent: queue.push }).then(queue.end, queue.fail);
      return queue;
    };

  return {
    client: {
      models: {
        list: () => call('models.list', {}),
        import: (source, { signal, onProgress } = {}) =>
          call('models.import', { source }, { ...(signal && { signal }), ...(onProgress && { onEvent: onProgress }) }),
        remove: (id) => call('models.remove', { id }),
        verify: (id, { onProgress } = {}) => call('models.verify', { id }, onProgress ? { onEvent: onProgress } : {}),
      },
      load: (request, { onProgress } = {}) => call('load', request, onProgress ? { onEvent: onProgress } : {}),
      chat: { completions: { create: create('chat.completions.create') as Mixtab['chat']['completions']['create'] } },
      completions: { create: create('completions.create') as Mixtab['completions']['create'] },
      routing: (text, { model, signal, onProgress } = {}) =>
        call(
          'routing',
          { text, ...(model !== undefined && { model }) },
          { ...(signal && { signal }), ...(onProgress && { onEvent: onProgress }) },
        ),
      metrics: () => call('metrics', {}),
      close() {
        for (const { reject } of pending.values()) reject(aborted('The client was closed.'));
        pending.clear();
        close();
      },
    },
    receive(data) {
      if (!isReply(data)) return;
      const waiting = pending.get(data.id);
      if (!waiting) return;
      if ('event' in data) {
        waiting.event(data.event);
        return;
      }
      pending.delete(data.id);
      if ('error' in data) waiting.reject(errorFromData(data.error));
      else waiting.resolve(data.result);
    },
  };
}
