/** One answer: prompt tokens, prefill (less what the KV cache already holds), decode until an end. */
import type {
  ExpertsReport,
  GeneratedToken,
  GenerateEvent,
  GenerateRequest,
  GenerateResult,
  SamplingOptions,
  ScoreRequest,
  ScoreResult,
  TokenLogprob,
} from '../../src/contract/engine-api.ts';
import { MixtabError } from '../../src/contract/errors.ts';
import { type Bytes, type TokenId, tokenId } from '../../src/contract/ids.ts';
import { encodePass } from '../compute/gpu/dispatch.ts';
import { readSampleResult, writeAllowed, writeSampleParams } from '../compute/gpu/ops/sample.ts';
import type { Readback } from '../compute/gpu/readback.ts';
import { outputHead } from '../model/forward.ts';
import { kvCacheBytes } from '../model/kv-cache.ts';
import type { SessionHeader, SessionOwner } from '../store/session-store.ts';
import { createDetokenizer } from '../text/detokenizer.ts';
import type { GrammarStep } from '../text/grammar.ts';
import { createStopText } from '../text/stop-text.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { AnswerFormats } from './answer-format.ts';
import { Decoder } from './decode.ts';
import type { GpuModel } from './loaded-model.ts';
import { prefill } from './prefill.ts';
import { routerOptionsKey, setRouterOptions } from './router-options.ts';
import { score } from './score.ts';
import { restoreCache, saveCache, sessionFits } from './session.ts';

/** Most tokens whose log-probabilities can be asked for. */
export const MAX_TOP_LOGPROBS = 20;
/** Tokens of the prompt's end that count as seen for the penalties, as in llama.cpp's default. */
const PENALTY_PROMPT_TOKENS = 64;

/** How far the last request is, or was when it ended. */
interface Progress {
  promptTokens: number;
  /** Absent while the prompt is read. */
  promptBytesRead?: Bytes;
  tokens: number;
  endedAt?: number;
}

/** A loaded model with the tokens that its KV cache holds. */
export class Generator {
  /** Tokens whose keys and values are in the cache, in order. */
  #cached: TokenId[] = [];
  /** How experts were chosen for them: see `routerOptionsKey`. */
  #cachedWith = '';
  /** When the last request began, and what the stopwatches showed then. */
  #began = { at: performance.now(), gpu: 0, experts: 0 };
  readonly #formats: AnswerFormats;
  #progress: Progress = { promptTokens: 0, tokens: 0, endedAt: this.#began.at };

  constructor(
    readonly gpu: GpuModel,
    readonly tokenizer: Tokenizer,
    readonly readback: Readback,
  ) {
    this.#formats = new AnswerFormats(tokenizer);
  }

  destroy(): void {
    this.#formats.end();
    this.readback.destroy();
  }

  /**
   * @param promptTokens at least one
   * @param stopped asked after every token and between the layers of a prefill
   * @throws MixtabError `context-overflow`, `bad-request`
   */
  async generate(
    promptTokens: readonly TokenId[],
    request: GenerateRequest,
    onEvent: (event: GenerateEvent) => void,
    stopped: () => boolean,
  ): Promise<GenerateResult> {
    const { experts, context, model, onRouterLogits } = this.gpu;
    checkRequest(request, promptTokens.length, context);
    setRouterOptions(model, request);
    this.#useCacheFor(request);

    this.#begin();
    const started = this.#began.at;
    const answer = new Answer(this.tokenizer, request);
    let finishReason: GenerateResult['finishReason'] = 'length';
    let prefillEnd = started;
    const reusedTokens = this.#reuse(promptTokens);
    let decoder: Decoder | undefined;
    try {
      const format = request.format && (await this.#formats.begin(request.format, stopped));
      this.#startSampling(request, promptTokens, format?.allowed);
      await this.#prefillPrompt(promptTokens, reusedTokens, onEvent, stopped);
      let sampled = await this.#firstToken();
      prefillEnd = performance.now();
      this.#progress.promptBytesRead = experts.report().bytesRead;
      decoder = new Decoder({ model, experts, readback: this.readback, stopped, onRouterLogits }, promptTokens.length);
      for (;;) {
        const token = toToken(sampled, request.topLogprobs, this.tokenizer);
        if (this.tokenizer.isEndOfGeneration(token.id) && !request.ignoreEos) {
          finishReason = 'stop';
          break;
        }
        stopped(); // throws what the GPU has reported meanwhile, before it comes out as a token
        onEvent({ type: 'token', token: answer.add(token) });
        this.#progress.tokens++;
        if (answer.stopped) {
          finishReason = 'stop';
          break;
        }
        if (stopped()) {
          finishReason = 'aborted';
          break;
        }
        if (format && (await this.#advanceFormat(token.id, stopped)).complete) {
          finishReason = 'stop';
          break;
        }
        // How many tokens may follow, this one's successor included.
        const left = Math.min(
          request.maxTokens - answer.tokens.length,
          context - promptTokens.length - answer.tokens.length,
        );
        if (left <= 0) break;
        sampled = await decoder.nextToken(format ? 0 : left - 1); // what may follow depends on the token itself
        this.#cached.push(token.id);
      }
    } catch (error) {
      if (!(error instanceof MixtabError && error.code === 'aborted')) throw error;
      finishReason = 'aborted';
    } finally {
      await decoder?.drain();
      this.#progress.endedAt = performance.now();
    }
    const rest = answer.finish();
    if (rest) onEvent({ type: 'token', token: rest, rest: true });

    const end = performance.now();
    const prefillMs = prefillEnd - started;
    const decodeMs = end - prefillEnd;
    const decoded = Math.max(0, answer.tokens.length - 1); // the first token belongs to the prefill
    return {
      promptTokens: [...promptTokens],
      reusedTokens,
      tokens: answer.tokens,
      text: answer.text,
      finishReason,
      timings: {
        prefillMs,
        prefillTokensPerSecond: perSecond(promptTokens.length - reusedTokens, prefillMs),
        decodeMs,
        decodeTokensPerSecond: perSecond(decoded, decodeMs),
        ...this.#waits(),
      },
      cache: experts.report(),
      memory: { gpuBytes: this.gpu.gpuBytes(), ramBytes: experts.ramBytes },
    };
  }

  /** How well the model predicts a text; the cache is empty afterwards. @param tokens of the text, without BOS */
  async score(
    tokens: readonly TokenId[],
    request: ScoreRequest,
    onProgress: (tokensDone: number, tokensTotal: number) => void,
    stopped: () => boolean,
  ): Promise<ScoreResult> {
    this.#cached = [];
    this.#begin();
    const { addBos, bosId } = this.gpu.manifest.tokenizer;
    const scored = score({
      gpu: this.gpu,
      readback: this.readback,
      tokens,
      ...(addBos && { bos: tokenId(bosId) }),
      request,
      bytesOf: (some) => new TextEncoder().encode(this.#textOf(some)).length,
      piecesOf: (some) => {
        const detokenizer = createDetokenizer(this.tokenizer, { continuation: true });
        return some.map((id) => detokenizer.push(id));
      },
      onProgress: (tokensDone, tokensTotal) => {
        this.#progress.promptTokens = tokensDone;
        onProgress(tokensDone, tokensTotal);
      },
      stopped,
    });
    return scored.finally(() => {
      this.#progress.endedAt = performance.now();
    });
  }

  /** What the experts do, now. */
  report(): ExpertsReport {
    const { experts, model } = this.gpu;
    const { layerCount, expertCount } = model.config;
    const cache = experts.report();
    const { promptTokens, promptBytesRead = cache.bytesRead, tokens, endedAt = performance.now() } = this.#progress;
    return {
      layerCount,
      expertCount,
      ...experts.residence(),
      cache,
      promptTokens,
      promptBytesRead,
      tokens,
      ...this.#waits(),
      elapsedMs: endedAt - this.#began.at,
      memory: { gpuBytes: this.gpu.gpuBytes(), ramBytes: experts.ramBytes },
    };
  }

  /** Counts and clocks of the cache begin anew. */
  #begin(): void {
    const { experts } = this.gpu;
    experts.resetCounts();
    this.#began = { at: performance.now(), gpu: this.readback.waiting.ms, experts: experts.waiting.ms };
    this.#progress = { promptTokens: 0, tokens: 0 };
  }

  #waits(): { gpuWaitMs: number; expertWaitMs: number } {
    return {
      gpuWaitMs: this.readback.waiting.ms - this.#began.gpu,
      expertWaitMs: this.gpu.experts.waiting.ms - this.#began.experts,
    };
  }

  /** Keys and values that other experts have left their mark on are not what this request would compute. */
  #useCacheFor(request: GenerateRequest): void {
    const options = routerOptionsKey(request);
    if (options !== this.#cachedWith) this.#cached = [];
    this.#cachedWith = options;
  }

  /** GPU bytes that `saveSession` would write; 0 where the cache is empty. */
  get sessionBytes(): Bytes {
    return kvCacheBytes(this.gpu.model.kvCache.shape, this.#cached.length);
  }

  /** Hands the cache on in parts; see session.ts. */
  saveSession(
    owner: SessionOwner,
    put: (index: number, part: Blob) => Promise<void>,
  ): Promise<Omit<SessionHeader, 'generation'>> {
    return saveCache(this.gpu.model.kvCache, this.#cached, { ...owner, routing: this.#cachedWith }, put);
  }

  /** Takes a session's keys and values for the cache's; false, and an empty cache, where it does not fit or is damaged. */
  async restoreSession(
    header: SessionHeader,
    owner: SessionOwner,
    get: (index: number) => Promise<Blob | undefined>,
  ): Promise<boolean> {
    const { kvCache } = this.gpu.model;
    if (!sessionFits(header, kvCache, owner)) return false;
    this.#cached = [];
    if (!(await restoreCache(kvCache, header, get))) return false;
    this.#cached = Array.from(header.tokens, tokenId);
    this.#cachedWith = header.routing;
    return true;
  }

  #textOf(tokens: readonly TokenId[]): string {
    const detokenizer = createDetokenizer(this.tokenizer, { continuation: true });
    return tokens.map((id) => detokenizer.push(id)).join('') + detokenizer.flush();
  }

  /** Cuts the cache to the beginning that it shares with the prompt; returns how many tokens that are. */
  #reuse(promptTokens: readonly TokenId[]): number {
    // The last token is computed in any case: its logits are not kept.
    this.#cached.length = Math.min(commonLength(this.#cached, promptTokens), promptTokens.length - 1);
    return this.#cached.length;
  }

  /** Adds the prompt to the cache, less the `kept` tokens that it already holds. */
  async #prefillPrompt(
    promptTokens: readonly TokenId[],
    kept: number,
    onEvent: (event: GenerateEvent) => void,
    stopped: () => boolean,
  ): Promise<void> {
    const { model, experts, onRouterLogits } = this.gpu;
    const tokens = promptTokens.slice(kept);
    const onProgress = (tokensDone: number) => {
      this.#progress.promptTokens = tokensDone;
      onEvent({ type: 'prefill', tokensDone, tokensTotal: tokens.length });
    };
    await prefill({
      model,
      experts,
      readback: this.readback,
      tokens,
      position: kept,
      onProgress,
      stopped,
      onRouterLogits,
    });
    this.#cached = [...this.#cached, ...tokens];
  }

  async #firstToken(): Promise<ArrayBuffer> {
    const { model } = this.gpu;
    const encoder = encodePass(
      model.ctx.pipelines.device,
      outputHead(model, model.buffers.headResidual),
      'first token',
    );
    const [result] = await this.readback.submit(encoder, [model.buffers.sampleResult]);
    return result;
  }

  /** Tells the sampler what may follow `token`. */
  async #advanceFormat(token: TokenId, stopped: () => boolean): Promise<GrammarStep> {
    const { buffers, ctx } = this.gpu.model;
    const step = await this.#formats.next(token, stopped);
    writeAllowed(ctx.pipelines.device.queue, buffers.sampleParams, step.allowed);
    return step;
  }

  #startSampling(
    { sampling = {}, topLogprobs = 0 }: GenerateRequest,
    promptTokens: readonly TokenId[],
    allowed: Uint32Array | undefined,
  ): void {
    const { buffers, config, ctx } = this.gpu.model;
    const { queue } = ctx.pipelines.device;
    const counts = new Uint32Array(config.vocabularySize);
    for (const id of promptTokens.slice(-PENALTY_PROMPT_TOKENS)) counts[id]++;
    const bias = new Float32Array(config.vocabularySize);
    for (const [id, value] of Object.entries(sampling.logitBias ?? {})) bias[Number(id)] = value;
    queue.writeBuffer(
      buffers.sampleParams.buffer,
      0,
      writeSampleParams(sampling, seedOf(sampling), topLogprobs, allowed),
    );
    queue.writeBuffer(buffers.sampleCounts.buffer, 0, counts);
    queue.writeBuffer(buffers.sampleBias.buffer, 0, bias);
    buffers.state.restartSampling();
  }
}

/** Collects tokens and text; holds back what may become a stop text. */
class Answer {
  readonly tokens: GeneratedToken[] = [];
  text = '';
  stopped = false;
  readonly #detokenizer;
  readonly #stopText;

  constructor(tokenizer: Tokenizer, { stop = [] }: GenerateRequest) {
    this.#detokenizer = createDetokenizer(tokenizer, { continuation: true });
    this.#stopText = createStopText(stop);
  }

  /** Returns the token with the text that is certain by now. */
  add(token: Omit<GeneratedToken, 'text'>): GeneratedToken {
    const { text, stopped } = this.#stopText.push(this.#detokenizer.push(token.id));
    this.stopped = stopped;
    const complete = { ...token, text };
    this.tokens.push(complete);
    this.text += text;
    return complete;
  }

  /** The text still held back, as part of the last token; undefined where there is none. */
  finish(): GeneratedToken | undefined {
    const last = this.tokens.at(-1);
    if (this.stopped || !last) return undefined;
    const pushed = this.#stopText.push(this.#detokenizer.flush());
    const text = pushed.text + (pushed.stopped ? '' : this.#stopText.flush());
    if (!text) return undefined;
    this.text += text;
    last.text += text;
    return { ...last, text };
  }
}

function toToken(
  result: ArrayBuffer,
  topLogprobs: number | undefined,
  tokenizer: Tokenizer,
): Omit<GeneratedToken, 'text'> {
  const { id, logprob, top } = readSampleResult(result);
  if (topLogprobs === undefined) return { id, logprob, top: [] };
  const bytesOf = (token: TokenId): number[] => [...tokenizer.bytesOf(token)];
  const others = top
    .slice(0, topLogprobs)
    .map((token): TokenLogprob => ({ ...token, text: pieceText(tokenizer, token.id), bytes: bytesOf(token.id) }));
  return { id, logprob, bytes: bytesOf(id), top: others };
}

function checkRequest(
  { maxTokens, topLogprobs = 0, format, ignoreEos }: GenerateRequest,
  promptLength: number,
  context: number,
): void {
  if (!Number.isInteger(maxTokens) || maxTokens < 1) {
    throw new MixtabError('bad-request', `maxTokens is ${maxTokens}; it must be a whole number of at least 1.`);
  }
  if (!(topLogprobs >= 0 && topLogprobs <= MAX_TOP_LOGPROBS)) {
    throw new MixtabError('bad-request', `topLogprobs is ${topLogprobs}; it must be 0 to ${MAX_TOP_LOGPROBS}.`);
  }
  if (format && ignoreEos) {
    throw new MixtabError(
      'bad-request',
      'An answer with a format ends where it is complete; it cannot ignore its end.',
      'Leave one of the two out.',
    );
  }
  if (promptLength === 0) throw new MixtabError('bad-request', 'The prompt is empty.', 'Write something first.');
  if (promptLength >= context) {
    throw new MixtabError(
      'context-overflow',
      `The prompt takes ${promptLength} tokens; the context holds ${context}, and the answer needs room too.`,
      'Shorten the conversation, or raise the context in the settings.',
    );
  }
}

const seedOf = ({ seed }: SamplingOptions): number => (seed ?? Math.floor(Math.random() * 2 ** 32)) >>> 0;

/** A piece by itself; half a character is U+FFFD. */
const pieceText = (tokenizer: Tokenizer, id: TokenId): string => new TextDecoder().decode(tokenizer.bytesOf(id));

const perSecond = (count: number, ms: number): number => (ms > 0 ? (count * 1000) / ms : 0);

function commonLength(a: readonly TokenId[], b: readonly TokenId[]): number {
  let n = 0;
  while (n < a.length && n < b.length && a[n] === b[n]) n++;
  return n;
}
