/** `chat.completions.create` and `completions.create`: one generation, returned whole or as a stream of chunks. */
import type { GeneratedToken, GenerateEvent, GenerateRequest, GenerateResult } from '../contract/engine-api.ts';
import type { AnswerHeader, AnswerShape } from './answer-shapes.ts';
import type { Backend } from './backend.ts';
import { finishReasonOf } from './convert.ts';
import type { EngineAccess } from './engine-access.ts';
import { createAbortableQueue, type Queue } from './queue.ts';
import type { CallOptions, CommonParams, Create } from './types.ts';

/** What distinguishes chat completions from text completions. */
export interface CompletionKind<Params, Whole, Chunk> {
  /** @throws MixtabError `bad-request` that names the parameter */
  toRequest(params: Params): GenerateRequest;
  shapeFor(params: Params): AnswerShape<Whole, Chunk>;
}

/** Receives a generation while it runs. */
interface Listener {
  onBegin?(header: AnswerHeader): void;
  onToken?(header: AnswerHeader, token: GeneratedToken, heldBack: boolean): void;
}

/** One generation: the parameters, and the request and answer shape made from them. */
interface Generation<Whole, Chunk> {
  params: CommonParams;
  request: GenerateRequest;
  shape: AnswerShape<Whole, Chunk>;
}

/** @returns the `create` method of one kind of completion */
export function createMethod<Params extends CommonParams, Whole, Chunk>(
  { engine, callback }: Pick<Backend, 'engine' | 'callback'>,
  access: EngineAccess,
  kind: CompletionKind<Params, Whole, Chunk>,
): Create<Params, Whole, Chunk> {
  /** Generates one answer. Rejects with `aborted` if the signal aborts at any time. */
  function generate(
    { params, request, shape }: Generation<Whole, Chunk>,
    signal: AbortSignal | undefined,
    { onBegin, onToken }: Listener = {},
  ): Promise<{ header: AnswerHeader; result: GenerateResult }> {
    return access.run({ model: params.model, signal }, async ({ summary }) => {
      const header = headerFor(shape.idPrefix, summary.id);
      onBegin?.(header);
      const onEvent = (event: GenerateEvent): void => {
        if (event.type === 'token' && !signal?.aborted) onToken?.(header, event.token, event.rest === true);
      };
      const result = await engine.generate(request, callback(onEvent));
      finishReasonOf(result); // throws if the generation was stopped
      return { header, result };
    });
  }

  const create = async (params: Params, { signal }: CallOptions = {}): Promise<Whole | AsyncIterable<Chunk>> => {
    const generation = { params, request: kind.toRequest(params), shape: kind.shapeFor(params) };
    if (!params.stream) {
      const { header, result } = await generate(generation, signal);
      return generation.shape.whole(header, result);
    }
    const { queue, signal: eitherSignal } = createAbortableQueue<Chunk>(signal);
    const started = (listener: Listener) => generate(generation, eitherSignal, listener);
    void pushChunks(queue, generation, started);
    return queue;
  };
  return create as Create<Params, Whole, Chunk>;
}

/** Pushes every chunk of an answer to the queue, then ends it or lets it fail. */
async function pushChunks<Whole, Chunk>(
  queue: Queue<Chunk>,
  { params, shape }: Generation<Whole, Chunk>,
  generate: (listener: Listener) => Promise<{ header: AnswerHeader; result: GenerateResult }>,
): Promise<void> {
  let offset = 0;
  try {
    const { header, result } = await generate({
      onBegin(begun) {
        for (const chunk of shape.begin(begun)) queue.push(chunk);
      },
      onToken(begun, token, heldBack) {
        queue.push(shape.token(begun, { token, offset, heldBack }));
        offset += token.text.length;
      },
    });
    queue.push(shape.end(header, result));
    if (params.stream_options?.include_usage) queue.push(shape.usage(header, result));
    queue.end();
  } catch (error) {
    queue.fail(error);
  }
}

const headerFor = (idPrefix: string, model: string): AnswerHeader => ({
  id: `${idPrefix}-${crypto.randomUUID()}`,
  created: Math.floor(Date.now() / 1000),
  model,
});
