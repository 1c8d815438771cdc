/** A loaded model that answers and scores, one request at a time: prompt, prefill, decode until an end. */
import type {
  ExpertsReport,
  GenerateEvent,
  GenerateRequest,
  GenerateResult,
  Observation,
  ObserveRequest,
  ScoreRequest,
  ScoreResult,
} from '../../src/contract/engine-api.ts';
import { MixtabError, throwIfAborted } from '../../src/contract/errors.ts';
import { type Bytes, type TokenId, tokenId } from '../../src/contract/ids.ts';
import { type Compute, kvCacheBytes, type Sample, type TokenDecoder } from '../compute/compute.ts';
import type { SessionHeader, SessionOwner } from '../store/session-store.ts';
import { createDetokenizer } from '../text/detokenizer.ts';
import type { GrammarStep } from '../text/grammar.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { Answer, pieceText, toToken } from './answer.ts';
import { AnswerFormats } from './answer-format.ts';
import { checkRequest, checkSampling } from './check-request.ts';
import { observe } from './observe.ts';
import { RequestProgress } from './request-progress.ts';
import { routerOptionsKey, setRouterOptions } from './router-options.ts';
import { samplerStart } from './sampling.ts';
import { score } from './score.ts';
import { restoreCache, saveCache, sessionFits } from './session.ts';

export interface GeneratorInputs {
  /** No token is emitted after it has failed. */
  compute: Compute;
  tokenizer: Tokenizer;
  /** Begins every window of a text that is scored; undefined if the model uses none. */
  bos: TokenId | undefined;
}

export interface AnswerInputs {
  /** At least one. */
  promptTokens: readonly TokenId[];
  request: GenerateRequest;
  /** Texts that end the answer, besides those of the request. */
  endTexts?: readonly string[];
  onEvent: (event: GenerateEvent) => void;
  /**
   * Ends the answer after the token that is being computed, or at once while it waits for experts. A failure of the
   * backend aborts it too.
   */
  signal: AbortSignal;
}

/** A loaded model that answers and scores, one request at a time. It owns the contents of the KV cache. */
export class Generator {
  readonly tokenizer: Tokenizer;
  readonly #compute: Compute;
  readonly #bos: TokenId | undefined;
  readonly #formats: AnswerFormats;
  readonly #progress: RequestProgress;
  /** The tokens in the KV cache, in order. */
  #cached: TokenId[] = [];
  /** The `routerOptionsKey` with which they were computed. */
  #cachedWith = '';

  constructor({ compute, tokenizer, bos }: GeneratorInputs) {
    this.tokenizer = tokenizer;
    this.#compute = compute;
    this.#bos = bos;
    this.#formats = new AnswerFormats(tokenizer);
    this.#progress = new RequestProgress(compute);
  }

  /** Ends its worker. The {@link Compute} is left to its owner. */
  destroy(): void {
    this.#formats.end();
  }

  /**
   * Generates one answer. An abort resolves with the tokens so far and `finishReason: 'aborted'`.
   * @throws MixtabError `context-overflow`, `bad-request`, `not-finite`, an error of reading an expert, or the
   * backend's failure
   */
  async generate(inputs: AnswerInputs): Promise<GenerateResult> {
    const { promptTokens, request, endTexts = [], onEvent } = inputs;
    checkRequest(request, promptTokens.length, this.#compute.context, this.#compute.config.vocabularySize);
    checkSampling(request.sampling, this.#compute.config.vocabularySize);
    setRouterOptions(this.#compute, request);
    this.#discardCacheOfOtherOptions(request);
    this.#progress.begin();
    const answer = new Answer(this.tokenizer, [...(request.stop ?? []), ...(request.ignoreEos ? [] : endTexts)]);
    for (const token of request.resume ?? []) if (!answer.stopped) answer.add(token);
    const reusedTokens = Math.min(this.#reuse([...promptTokens, ...answer.ids]), promptTokens.length);
    let finishReason: GenerateResult['finishReason'];
    try {
      finishReason = await this.#run(inputs, answer);
    } catch (error) {
      const code = error instanceof MixtabError ? error.code : undefined;
      // The keys and values of these tokens are no numbers either: no later answer may build on them.
      if (code === 'not-finite') this.#cached = [];
      if (code !== 'aborted') throw error;
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
      cache: this.#compute.experts.report(),
      memory: this.#compute.memory(),
    };
  }

  /**
   * Measures how well the model predicts a text. The KV cache is empty afterwards.
   * @param tokens of the text, without BOS
   * @throws MixtabError `bad-request`, `aborted`, an error of reading an expert, or the backend's failure
   */
  async score(
    tokens: readonly TokenId[],
    request: ScoreRequest,
    onProgress: (tokensDone: number, tokensTotal: number) => void,
    signal: AbortSignal,
  ): Promise<ScoreResult> {
    return this.#readText(onProgress, (report) =>
      score({
        compute: this.#compute,
        tokens,
        bos: this.#bos,
        request,
        bytesOf: (some) => new TextEncoder().encode(this.#textOf(some)).length,
        piecesOf: (some) => this.piecesOf(some),
        onProgress: report,
        signal,
      }),
    );
  }

  /**
   * Observes one token of a text in every layer.
   * @param tokens of the text, without BOS
   * @throws MixtabError `bad-request`, `aborted`, an error of reading an expert, or the backend's failure
   */
  async observe(
    tokens: readonly TokenId[],
    request: ObserveRequest,
    onProgress: (tokensDone: number, tokensTotal: number) => void,
    signal: AbortSignal,
  ): Promise<Observation> {
    return this.#readText(onProgress, (report) =>
      observe({
        compute: this.#compute,
        tokens,
        bos: this.#bos,
        request,
        piecesOf: (some) => this.piecesOf(some),
        textOf: (token) => pieceText(this.tokenizer, token),
        onProgress: report,
        signal,
      }),
    );
  }

  /** Runs work that overwrites the KV cache with a text, and counts its tokens for {@link report}. */
  async #readText<T>(
    onProgress: (tokensDone: number, tokensTotal: number) => void,
    work: (report: typeof onProgress) => Promise<T>,
  ): Promise<T> {
    this.#cached = [];
    this.#progress.begin();
    try {
      return await work((tokensDone, tokensTotal) => {
        this.#progress.promptTokens = tokensDone;
        onProgress(tokensDone, tokensTotal);
      });
    } finally {
      this.#progress.end();
    }
  }

  /** What the expert cache holds and did, for the newest request; may be called while it runs. */
  report(): ExpertsReport {
    const { experts, config } = this.#compute;
    const { layerCount, expertCount } = config;
    return {
      layerCount,
      expertCount,
      ...experts.residence(),
      cache: experts.report(),
      ...this.#progress.times(),
      memory: this.#compute.memory(),
    };
  }

  /** Bytes that {@link saveSession} would write; 0 if the KV cache is empty. */
  get sessionBytes(): Bytes {
    return kvCacheBytes(this.#compute.kvCache.shape, this.#cached.length);
  }

  /** Reads the KV cache in parts, as `session.ts` describes. @param put stores one part */
  saveSession(
    owner: SessionOwner,
    put: (index: number, part: Blob) => Promise<void>,
  ): Promise<Omit<SessionHeader, 'generation'>> {
    return saveCache(this.#compute.kvCache, this.#cached, { ...owner, routing: this.#cachedWith }, put);
  }

  /**
   * Fills the KV cache with a saved session.
   * @param get reads one part
   * @returns false if the session does not fit or is damaged; the cache may be empty then
   */
  async restoreSession(
    header: SessionHeader,
    owner: SessionOwner,
    get: (index: number) => Promise<ArrayBuffer | undefined>,
  ): Promise<boolean> {
    const { kvCache } = this.#compute;
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
    const compute = this.#compute;
    const { ids } = answer; // empty, unless the answer is resumed
    let format = request.format && (await this.#formats.begin(request.format, signal));
    for (const id of request.format ? ids : []) format = await this.#formats.next(id, signal);
    if (answer.stopped) return 'stop';
    if (this.#tokensLeft(inputs, answer) <= 0) return 'length';
    compute.startSampling(samplerStart(request, promptTokens, ids, compute.config.vocabularySize, format?.allowed));
    await this.#prefill(inputs, [...promptTokens, ...ids]);
    const firstToken = await compute.sampleFirst();
    this.#progress.endPrompt();
    const decoder = compute.startDecoding(promptTokens.length + ids.length, signal);
    try {
      return await this.#decode(inputs, answer, decoder, firstToken);
    } finally {
      await decoder.drain();
    }
  }

  /**
   * Emits token after token until the answer ends: at an end-of-sequence token, a stop text, the end of a format, the
   * maximum length, the end of the context, or an abort.
   */
  async #decode(
    inputs: AnswerInputs,
    answer: Answer,
    decoder: TokenDecoder,
    firstToken: Sample,
  ): Promise<'stop' | 'length'> {
    const { request, onEvent, signal } = inputs;
    let sampled = firstToken;
    for (;;) {
      const token = toToken(sampled, request.topLogprobs, this.tokenizer);
      if (this.tokenizer.isEndOfGeneration(token.id) && !request.ignoreEos) return 'stop';
      throwIfAborted(this.#compute.failure); // this token may be wrong; after a stop by the user it is still emitted
      onEvent({ type: 'token', token: answer.add(token) });
      this.#progress.tokens++;
      if (answer.stopped) return 'stop';
      throwIfAborted(signal);
      if (request.format && (await this.#advanceFormat(token.id, signal)).complete) return 'stop';
      const tokensLeft = this.#tokensLeft(inputs, answer);
      if (tokensLeft <= 0) return 'length';
      // With a format, what may follow a token depends on the token itself.
      sampled = await decoder.nextToken(request.format ? 0 : tokensLeft - 1);
      this.#cached.push(token.id);
    }
  }

  /** How many more tokens the answer may get before its maximum length, or the context, is reached. */
  #tokensLeft({ promptTokens, request }: AnswerInputs, answer: Answer): number {
    const positionsLeft = this.#compute.context - promptTokens.length - answer.tokens.length;
    return Math.min(request.maxTokens - answer.tokens.length, positionsLeft);
  }

  /** Adds to the KV cache the tokens that it does not hold yet. @param all the prompt, and what is resumed */
  async #prefill({ onEvent, signal }: AnswerInputs, all: readonly TokenId[]): Promise<void> {
    const position = this.#cached.length;
    const tokens = all.slice(position);
    const onProgress = (tokensDone: number): void => {
      this.#progress.promptTokens = tokensDone;
      onEvent({ type: 'prefill', tokensDone, tokensTotal: tokens.length });
    };
    await this.#compute.prefill({ tokens, position, onProgress, signal });
    this.#cached = [...this.#cached, ...tokens];
  }

  /** Restricts the sampler to what the format allows after `token`. */
  async #advanceFormat(token: TokenId, signal: AbortSignal): Promise<GrammarStep> {
    const step = await this.#formats.next(token, signal);
    this.#compute.setAllowed(step.allowed);
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

  #textOf(tokens: readonly TokenId[]): string {
    const detokenizer = createDetokenizer(this.tokenizer, { continuation: true });
    return tokens.map((id) => detokenizer.push(id)).join('') + detokenizer.flush();
  }

  /** Text of each token. A character of several tokens is text of the last one. */
  piecesOf(tokens: readonly TokenId[]): string[] {
    const detokenizer = createDetokenizer(this.tokenizer, { continuation: true });
    return tokens.map((id) => detokenizer.push(id));
  }
}

function commonLength(a: readonly TokenId[], b: readonly TokenId[]): number {
  let n = 0;
  while (n < a.length && n < b.length && a[n] === b[n]) n++;
  return n;
}
