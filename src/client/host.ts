/**
 * The embedded page's side of the protocol: turns requests into calls of a client, and results into replies. It uses no
 * window, so tests run it in Node.
 */
import { errorToData, MixtabError } from '../contract/errors.ts';
import { isRequest, METHODS, type Method, PROTOCOL, type Reply, type Request } from './protocol.ts';
import type { ChatParams, CompletionParams, Mixtab, ObserveOptions, RoutingOptions } from './types.ts';

type Call = (params: never, signal: AbortSignal, event: (value: unknown) => void) => Promise<unknown>;

/**
 * @param post sends a reply to the embedding page
 * @returns a function that takes every message from the embedding page, after its window and origin were checked
 */
export function createHost(client: Mixtab, post: (reply: Reply) => void): (data: unknown) => void {
  const running = new Map<number, AbortController>();
  const methods: Record<Method, Call> = {
    'models.list': () => client.models.list(),
    'models.import': ({ source }: { source: Parameters<Mixtab['models']['import']>[0] }, signal, onProgress) =>
      client.models.import(source, { signal, onProgress }),
    'models.remove': ({ id }: { id: string }) => client.models.remove(id),
    'models.verify': ({ id }: { id: string }, _signal, onProgress) => client.models.verify(id, { onProgress }),
    'models.repair': ({ id }: { id: string }, signal, onProgress) => client.models.repair(id, { signal, onProgress }),
    load: (request: Parameters<Mixtab['load']>[0], signal, onProgress) => client.load(request, { signal, onProgress }),
    routing: ({ text, ...options }: { text: string } & RoutingOptions, signal, onProgress) =>
      client.routing(text, { ...options, signal, onProgress }),
    observe: ({ text, ...options }: { text: string } & ObserveOptions, signal, onProgress) =>
      client.observe(text, { ...options, signal, onProgress }),
    metrics: () => client.metrics(),
    'chat.completions.create': (params: ChatParams, signal, event) =>
      params.stream
        ? streamed(client.chat.completions.create({ ...params, stream: true }, { signal }), event)
        : client.chat.completions.create({ ...params, stream: false }, { signal }),
    'completions.create': (params: CompletionParams, signal, event) =>
      params.stream
        ? streamed(client.completions.create({ ...params, stream: true }, { signal }), event)
        : client.completions.create({ ...params, stream: false }, { signal }),
  };

  async function answer({ id, method, params }: Request): Promise<void> {
    const controller = new AbortController();
    running.set(id, controller);
    const reply = (body: { event: unknown } | { result: unknown } | { error: ReturnType<typeof errorToData> }): void =>
      post({ mixtab: PROTOCOL, id, ...body });
    try {
      const call = Object.hasOwn(methods, method) ? methods[method as Method] : undefined;
      if (!call)
        throw new MixtabError(
          'bad-request',
          `There is no method ${method.slice(0, 100)}.`,
          `Use one of ${METHODS.join(', ')}.`,
        );
      if (typeof params !== 'object' || params === null)
        throw new MixtabError('bad-request', `${method} needs an object of parameters.`, 'Send {} for none.');
      reply({ result: (await call(params as never, controller.signal, (event) => reply({ event }))) ?? null });
    } catch (error) {
      reply({ error: errorToData(error) });
    } finally {
      running.delete(id);
    }
  }

  return (data) => {
    if (!isRequest(data)) return;
    if (data.method === 'abort') running.get(Number(data.params))?.abort();
    else void answer(data);
  };
}

/** Passes every chunk on as an event. The reply after the last one has the result null. */
async function streamed<T>(chunks: Promise<AsyncIterable<T>>, event: (value: unknown) => void): Promise<null> {
  for await (const chunk of await chunks) event(chunk);
  return null;
}
