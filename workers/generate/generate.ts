/** A loaded model that answers and scores, one request at a time: prompt, prefill, decode until an end. */
import type {
  ExpertsReport,
  GenerateEvent,
  GenerateRequest,
  GenerateResult,
  ScoreRequest,
  ScoreResult,
} from '../../src/contract/engine-api.ts';
import { MixtabError, throwIfAborted } from '../../src/contract/errors.ts';
import { type Bytes, type TokenId, tokenId } from '../../src/contract/ids.ts';
import { kvCacheBytes } from '../compute/compute.ts';
import { Decoder } from '../compute/gpu/decode/decoder.ts';
import { encodePass } from '../compute/gpu/dispatch.ts';
import type { GpuModel } from '../compute/gpu/gpu-model.ts';
import { outputHead } from '../compute/gpu/model/forward.ts';
import { writeAllowed } from '../compute/gpu/ops/sample.ts';
import { prefill } from '../compute/gpu/prefill.ts';
import type { Readback } from '../compute/gpu/readback.ts';
import type { SessionHeader, SessionOwner } from '../store/session-store.ts';
import { createDetokenizer } from '../text/detokenizer.ts';
import type { GrammarStep } from '../text/grammar.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { Answer, toToken } from './answer.ts';
import { AnswerFormats } from './answer-format.ts';
import { checkRequest } from './check-request.ts';
import { RequestProgress } from './request-progress.ts';
import { routerOptionsKey, setRouterOptions } from './router-options.ts';
import { startSampling } from './sampling.ts';
import { score } from './score.ts';
import { restoreCache, saveCache, sessionFits } from './session.ts';

export interface GeneratorInputs {
  gpu: GpuModel;
  tokenizer: Tokenizer;
  readback: Readback;
  /** Aborted when the device fails, with a MixtabError as its reason. No token is emitted after that. */
  deviceFailure: AbortSignal;
}

export interface AnswerInputs {
  /** At least one. */
  promptTokens: readonly TokenId[];
  request: GenerateRequest;
  onEvent: (event: GenerateEvent) => void;
  /**
   * Ends the answer after the token that is being computed, or at once while it waits for experts. A device failure
   * aborts it too.
   */
  signal: AbortSignal;
}

/** A loaded model that answers and scores, one request at a time. It owns the contents of the KV cache. */
export class Generator {
  readonly tokenizer: Tokenizer;
  readonly #gpu: GpuModel;
  readonly #readback: Readback;
  readonly #deviceFailure: AbortSignal;
  readonly #formats: AnswerFormats;
  readonly #progress: RequestProgress;
  /** The tokens in the KV cache, in order. */
  #cached: TokenId[] = [];
  /** The `routerOptionsKey` with which they were computed. */
  #cachedWith = '';

  constructor({ gpu, tokenizer, readback, deviceFailure }: GeneratorInputs) {
    this.tokenizer = tokenizer;
    this.#gpu = gpu;
    this.#readback = readback;
    this.#deviceFailure = deviceFailure;
    this.#formats = new AnswerFormats(tokenizer);
    this.#progress = new RequestProgress(readback, gpu.experts);
  }

  destroy(): void {
    this.#formats.end();
    this.#readback.destroy();
  }

  /**
   * Generates one answer. An abort resolves with the tokens so far and `finishReason: 'aborted'`.
   * @throws MixtabError `context-overflow`, `bad-request`, an error of reading an expert, or the reason of
   * `deviceFailure`
   */
  async generate(inputs: AnswerInputs): Promise<GenerateResult> {
    const { promptTokens, request, onEvent } = inputs;
    checkRequest(request, promptTokens.length, this.#gpu.context);
    setRouterOptions(this.#gpu.model, request);
    this.#discardCacheOfOtherOptions(request);
    this.#progress.begin();
    const reusedTokens = this.#reuse(promptTokens);
    const answer = new Answer(this.tokenizer, request.stop);
    let finishReason: GenerateResult['finishReason'];
    try {
      finishReason = await this.#run(inputs, answer);
    } catch (error) {
      if (!(error instanceof MixtabError && error.code === 'aborted')) throw error;
      finishReason = 'aborted';
    } finally {
      this.#progress.end();
    }
    const heldBack = answer.finish();
    if (heldBack) onEvent({ type: 'token', token: heldBack, rest: true });
    return {
      promptTokens: [...promptTokens],
      reusedTokens,
      tokens: answer.tokens,
      text: answer.text,
      finishReason,
      timings: this.#progress.timings(promptTokens.length - reusedTokens),
      cache: this.#gpu.experts.report(),
      memory: this.#memory(),
    };
  }

  /**
   * Measures how well the model predicts a text. The KV cache is empty afterwards.
   * @param tokens of the text, without BOS
   * @throws MixtabError `bad-request`, `aborted`, an error of reading an expert, or the reason of `deviceFailure`
   */
  async score(
    tokens: readonly TokenId[],
    request: ScoreRequest,
    onProgress: (tokensDone: number, tokensTotal: number) => void,
    signal: AbortSignal,
  ): Promise<ScoreResult> {
    this.#cached = [];
    this.#progress.begin();
    const { addBos, bosId } = this.#gpu.manifest.tokenizer;
    try {
      return await score({
        gpu: this.#gpu,
        readback: this.#readback,
        tokens,
        ...(addBos && { bos: tokenId(bosId) }),
        request,
        bytesOf: (some) => new TextEncoder().encode(this.#textOf(some)).length,
        piecesOf: (some) => this.#piecesOf(some),
        onProgress: (tokensDone, tokensTotal) => {
          this.#progress.promptTokens = tokensDone;
          onProgress(tokensDone, tokensTotal);
        },
        signal,
      });
    } finally {
      this.#progress.end();
    }
  }

  /** What the expert cache holds and did, for the newest request; may be called while it runs. */
  report(): ExpertsReport {
    const { experts, model } = this.#gpu;
    const { layerCount, expertCount } = model.config;
    return {
      layerCount,
      expertCount,
      ...experts.residence(),
      cache: experts.report(),
      ...this.#progress.times(),
      memory: this.#memory(),
    };
  }

  /** Bytes that {@link saveSession} would write; 0 if the KV cache is empty. */
  get sessionBytes(): Bytes {
    return kvCacheBytes(this.#gpu.model.kvCache.shape, this.#cached.length);
  }

  /** Reads the KV cache in parts, as `session.ts` describes. @param put stores one part */
  saveSession(
    owner: SessionOwner,
    put: (index: number, part: Blob) => Promise<void>,
  ): Promise<Omit<SessionHeader, 'generation'>> {
    return saveCache(this.#gpu.model.kvCache, this.#cached, { ...owner, routing: this.#cachedWith }, put);
  }

  /**
   * Fills the KV cache with a saved session.
   * @param get reads one part
   * @returns false if the session does not fit or is damaged; the cache may be empty then
   */
  async restoreSession(
    header: SessionHeader,
    owner: SessionOwner,
    get: (index: number) => Promise<Blob | undefined>,
  ): Promise<boolean> {
    const { kvCache } = this.#gpu.model;
    if (!sessionFits(header, kvCache, owner)) return false;
    this.#cached = [];
    if (!(await restoreCache(kvCache, header, get))) return false;
    this.#cached = Array.from(header.tokens, tokenId);
    this.#cachedWith = header.routing;
    return true;
  }

  /** @throws MixtabError `aborted` before the first token, and any failure */
  async #run(inputs: AnswerInputs, answer: Answer): Promise<GenerateResult['finishReason']> {
    const { promptTokens, request, signal } = inputs;
    const { model, experts, onRouterLogits } = this.#gpu;
    const format = request.format && (await this.#formats.begin(request.format, signal));
    startSampling(model, request, promptTokens, format?.allowed);
    await this.#prefillPrompt(inputs);
    const firstToken = await this.#sampleFirstToken();
    this.#progress.endPrompt();
    const decoder = new Decoder(
      { model, experts, readback: this.#readback, signal, onRouterLogits },
      promptTokens.length,
    );
    try {
      return await this.#decode(inputs, answer, decoder, firstToken);
    } finally {
      await decoder.drain();
    }
  }

  /**
   * Emits token after token until the answer ends: at an end-of-sequence token, a stop text, the end of a format, the
   * maximum length, the end of the context, or an abort.
   * @param firstToken the sampler's result
   */
  async #decode(
    { promptTokens, request, onEvent, signal }: AnswerInputs,
    answer: Answer,
    decoder: Decoder,
    firstToken: ArrayBuffer,
  ): Promise<'stop' | 'length'> {
    let sampled = firstToken;
    for (;;) {
      const token = toToken(sampled, request.topLogprobs, this.tokenizer);
      if (this.tokenizer.isEndOfGeneration(token.id) && !request.ignoreEos) return 'stop';
      throwIfAborted(this.#deviceFailure); // this token may be wrong; after a stop by the user it is still emitted
      onEvent({ type: 'token', token: answer.add(token) });
      this.#progress.tokens++;
      if (answer.stopped) return 'stop';
      throwIfAborted(signal);
      if (request.format && (await this.#advanceFormat(token.id, signal)).complete) return 'stop';
      const positionsLeft = this.#gpu.context - promptTokens.length - answer.tokens.length;
      const tokensLeft = Math.min(request.maxTokens - answer.tokens.length, positionsLeft);
      if (tokensLeft <= 0) return 'length';
      // With a format, what may follow a token depends on the token itself.
      sampled = await decoder.nextToken(request.format ? 0 : tokensLeft - 1);
      this.#cached.push(token.id);
    }
  }

  /** Adds to the KV cache the prompt's tokens that it does not hold yet. */
  async #prefillPrompt({ promptTokens, onEvent, signal }: AnswerInputs): Promise<void> {
    const { model, experts, onRouterLogits } = this.#gpu;
    const position = this.#cached.length;
    const tokens = promptTokens.slice(position);
    const onProgress = (tokensDone: number): void => {
      this.#progress.promptTokens = tokensDone;
      onEvent({ type: 'prefill', tokensDone, tokensTotal: tokens.length });
    };
    const readback = this.#readback;
    await prefill({ model, experts, readback, tokens, position, onProgress, signal, onRouterLogits });
    this.#cached = [...this.#cached, ...tokens];
  }

  /** @returns the sampler's result for the last token of the prompt */
  async #sampleFirstToken(): Promise<ArrayBuffer> {
    const { model } = this.#gpu;
    const { headResidual, sampleResult } = model.buffers;
    const encoder = encodePass(model.ctx.pipelines.device, outputHead(model, headResidual), 'first token');
    const [result] = await this.#readback.submit(encoder, [sampleResult]);
    return result;
  }

  /** Restricts the sampler to what the format allows after `token`. */
  async #advanceFormat(token: TokenId, signal: AbortSignal): Promise<GrammarStep> {
    const { buffers, ctx } = this.#gpu.model;
    const step = await this.#formats.next(token, signal);
    writeAllowed(ctx.pipelines.device.queue, buffers.sampleParams, step.allowed);
    return step;
  }

  /**
   * Keys and values depend on the experts that were used, so a request with other router options cannot reuse them.
   */
  #discardCacheOfOtherOptions(request: GenerateRequest): void {
    const options = routerOptionsKey(request);
    if (options !== this.#cachedWith) this.#cached = [];
    this.#cachedWith = options;
  }

  /** Cuts the KV cache to the prefix that it shares with the prompt. @returns the length of the prefix */
  #reuse(promptTokens: readonly TokenId[]): number {
    // The last token is always computed: its logits are not stored.
    this.#cached.length = Math.min(commonLength(this.#cached, promptTokens), promptTokens.length - 1);
    return this.#cached.length;
  }

  #memory(): GenerateResult['memory'] {
    return { gpuBytes: this.#gpu.gpuBytes(), ramBytes: this.#gpu.experts.ramBytes };
  }

  #textOf(tokens: readonly TokenId[]): string {
    const detokenizer = createDetokenizer(this.tokenizer, { continuation: true });
    return tokens.map((id) => detokenizer.push(id)).join('') + detokenizer.flush();
  }

  #piecesOf(tokens: readonly TokenId[]): string[] {
    const detokenizer = createDetokenizer(this.tokenizer, { continuation: true });
    return tokens.map((id) => detokenizer.push(id));
  }
}

function commonLength(a: readonly TokenId[], b: readonly TokenId[]): number {
  let n = 0;
  while (n < a.length && n < b.length && a[n] === b[n]) n++;
  return n;
}
