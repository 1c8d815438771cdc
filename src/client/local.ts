/** The client over an engine: the one that runs in this page's workers, or one in a test. */
import type {
  EngineApi,
  GeneratedToken,
  GenerateEvent,
  GenerateRequest,
  GenerateResult,
  LoadedModel,
} from '../contract/engine-api.ts';
import { aborted, MixtabError } from '../contract/errors.ts';
import type { ImportApi } from '../contract/import-api.ts';
import {
  chatLogprobs,
  chatRequest,
  completionLogprobs,
  completionRequest,
  finishReasonOf,
  usageOf,
} from './convert.ts';
import { metricsOf, routingOf } from './experts.ts';
import { createQueue, createTurns } from './queue.ts';
import type {
  CallOptions,
  ChatChunk,
  ChatCompletion,
  ChatParams,
  CommonParams,
  Completion,
  CompletionChunk,
  CompletionParams,
  Mixtab,
} from './types.ts';

export interface Backend {
  importer: Pick<ImportApi, 'list' | 'import' | 'cancel' | 'remove' | 'verify'>;
  engine: Pick<EngineApi, 'load' | 'generate' | 'stop' | 'score' | 'experts'>;
  /** Makes a callback fit to be sent to a worker. */
  callback<T extends (...values: never[]) => void>(call: T): T;
  close(): void;
}

/** How one kind of answer is put together. */
interface Shape<Whole, Chunk> {
  prefix: string;
  /** Chunks before the first token. */
  begin(head: Head): Chunk[];
  /** @param rest text of a token that was told before */
  token(head: Head, token: GeneratedToken, offset: number, rest: boolean): Chunk;
  end(head: Head, result: GenerateResult): Chunk;
  usage(head: Head, result: GenerateResult): Chunk;
  whole(head: Head, result: GenerateResult): Whole;
}

interface Head {
  id: string;
  created: number;
  model: string;
}

export function createLocal(backend: Backend): Mixtab {
  const { importer, engine, callback } = backend;
  // The engine does one thing at a time; calls wait for each other here instead of failing there.
  const inTurn = createTurns();
  let loaded: LoadedModel | undefined;

  const load: Mixtab['load'] = (request, { onProgress = () => {} } = {}) =>
    inTurn(async () => {
      loaded = undefined;
      loaded = await engine.load(request, callback(onProgress));
      return loaded;
    });

  async function ensureModel(model: string | undefined): Promise<LoadedModel> {
    if (loaded && (model === undefined || loaded.summary.id === model)) return loaded;
    if (model === undefined)
      throw new MixtabError('no-model-loaded', 'No model is loaded.', 'Call load, or name a model in the request.');
    loaded = undefined;
    loaded = await engine.load(
      { modelId: model },
      callback(() => {}),
    );
    return loaded;
  }

  /** Waits for its turn and has the engine work for it until the signal says stop; rejects with `aborted` where it did so before. */
  function stoppable<T>(
    model: string | undefined,
    signal: AbortSignal | undefined,
    work: (loaded: LoadedModel) => Promise<T>,
  ): Promise<T> {
    return inTurn(async () => {
      if (signal?.aborted) throw requestAborted();
      const ready = await ensureModel(model);
      if (signal?.aborted) throw requestAborted();
      const abort = (): void => void engine.stop();
      signal?.addEventListener('abort', abort);
      try {
        return await work(ready);
      } finally {
        signal?.removeEventListener('abort', abort);
      }
    });
  }

  /** Generates, and rejects with `aborted` where the signal said so at any time. */
  function run(
    params: CommonParams,
    request: GenerateRequest,
    signal: AbortSignal | undefined,
    shape: { prefix: string },
    began: (head: Head) => void,
    onToken: (token: GeneratedToken, rest: boolean) => void,
  ) {
    return stoppable(params.model, signal, async ({ summary }) => {
      const head = {
        id: `${shape.prefix}-${crypto.randomUUID()}`,
        created: Math.floor(Date.now() / 1000),
        model: summary.id,
      };
      began(head);
      const onEvent = (event: GenerateEvent): void => {
        if (event.type === 'token' && !signal?.aborted) onToken(event.token, event.rest === true);
      };
      const result = await engine.generate(request, callback(onEvent));
      finishReasonOf(result); // throws for a stopped one
      return { head, result };
    });
  }

  function create<Params extends CommonParams, Whole, Chunk>(
    toRequest: (params: Params) => GenerateRequest,
    shapeFor: (params: Params) => Shape<Whole, Chunk>,
  ) {
    return async (params: Params, { signal }: CallOptions = {}): Promise<Whole | AsyncIterable<Chunk>> => {
      const request = toRequest(params);
      const shape = shapeFor(params);
      if (!params.stream) {
        const { head, result } = await run(
          params,
          request,
          signal,
          shape,
          () => {},
          () => {},
        );
        return shape.whole(head, result);
      }
      const leave = new AbortController();
      const queue = createQueue<Chunk>(() => leave.abort());
      const either = signal ? AbortSignal.any([signal, leave.signal]) : leave.signal;
      let head: Head | undefined;
      let offset = 0;
      const began = (made: Head): void => {
        head = made;
        shape.begin(made).forEach(queue.push);
      };
      const onToken = (token: GeneratedToken, rest: boolean): void => {
        if (head) queue.push(shape.token(head, token, offset, rest));
        offset += token.text.length;
      };
      run(params, request, either, shape, began, onToken).then(
        ({ head: made, result }) => {
          queue.push(shape.end(made, result));
          if (params.stream_options?.include_usage) queue.push(shape.usage(made, result));
          queue.end();
        },
        (error: unknown) => queue.fail(error),
      );
      return queue;
    };
  }

  return {
    models: {
      list: () => importer.list(),
      async import(source, { onProgress = () => {}, signal } = {}) {
        if (signal?.aborted) throw requestAborted();
        const abort = (): void => void importer.cancel();
        signal?.addEventListener('abort', abort);
        try {
          return await importer.import(source, callback(onProgress));
        } finally {
          signal?.removeEventListener('abort', abort);
        }
      },
      remove: (id) => importer.remove(id),
      verify: (id, { onProgress = () => {} } = {}) => importer.verify(id, callback(onProgress)),
    },
    load,
    routing: (text, { model, signal, onProgress = () => {} } = {}) => {
      if (typeof text !== 'string') return Promise.reject(new MixtabError('bad-request', 'routing needs a text.'));
      return stoppable(model, signal, async ({ summary, context }) => {
        const reportProgress = (tokensDone: number, tokensTotal: number): void =>
          onProgress({ tokensDone, tokensTotal });
        return routingOf(
          summary,
          await engine.score({ input: { kind: 'text', text }, context, trace: true }, callback(reportProgress)),
        );
      });
    },
    async metrics() {
      const report = await engine.experts();
      return report && loaded ? metricsOf(loaded.summary.id, report) : null;
    },
    chat: { completions: { create: create(chatRequest, chatShape) as Mixtab['chat']['completions']['create'] } },
    completions: { create: create(completionRequest, completionShape) as Mixtab['completions']['create'] },
    close: () => backend.close(),
  };
}

const requestAborted = (): MixtabError => aborted('The request was aborted.');

function chatShape({ logprobs, stream_options: options }: ChatParams): Shape<ChatCompletion, ChatChunk> {
  const chunk = (
    head: Head,
    delta: ChatChunk['choices'][0]['delta'],
    rest: Partial<ChatChunk['choices'][0]> = {},
  ): ChatChunk => ({
    ...head,
    object: 'chat.completion.chunk',
    choices: [{ index: 0, delta, finish_reason: null, logprobs: null, ...rest }],
    ...(options?.include_usage && { usage: null }),
  });
  return {
    prefix: 'chatcmpl',
    begin: (head) => [chunk(head, { role: 'assistant', content: '' })],
    token: (head, token, _offset, rest) =>
      chunk(head, { content: token.text }, logprobs && !rest ? { logprobs: chatLogprobs([token]) } : {}),
    end: (head, result) => chunk(head, {}, { finish_reason: finishReasonOf(result) }),
    usage: (head, result) => ({ ...head, object: 'chat.completion.chunk', choices: [], usage: usageOf(result) }),
    whole: (head, result) => ({
      ...head,
      object: 'chat.completion',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: result.text },
          finish_reason: finishReasonOf(result),
          logprobs: logprobs ? chatLogprobs(result.tokens) : null,
        },
      ],
      usage: usageOf(result),
    }),
  };
}

function completionShape({
  logprobs,
  echo,
  prompt,
  stream_options: options,
}: CompletionParams): Shape<Completion, CompletionChunk> {
  const object = 'text_completion' as const;
  const before = echo ? prompt : '';
  const chunk = (head: Head, text: string, rest: Partial<CompletionChunk['choices'][0]> = {}): CompletionChunk => ({
    ...head,
    object,
    choices: [{ index: 0, text, finish_reason: null, logprobs: null, ...rest }],
    ...(options?.include_usage && { usage: null }),
  });
  return {
    prefix: 'cmpl',
    begin: (head) => (before ? [chunk(head, before)] : []),
    token: (head, token, offset, rest) =>
      chunk(
        head,
        token.text,
        logprobs == null || rest ? {} : { logprobs: completionLogprobs([token], before.length + offset) },
      ),
    end: (head, result) => chunk(head, '', { finish_reason: finishReasonOf(result) }),
    usage: (head, result) => ({ ...head, object, choices: [], usage: usageOf(result) }),
    whole: (head, result) => ({
      ...head,
      object,
      choices: [
        {
          index: 0,
          text: before + result.text,
          finish_reason: finishReasonOf(result),
          logprobs: logprobs == null ? null : completionLogprobs(result.tokens, before.length),
        },
      ],
      usage: usageOf(result),
    }),
  };
}
