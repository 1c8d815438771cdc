/** How far the newest request is, and the time it has spent waiting. */
import type { ExpertsReport, GenerateResult } from '../../src/contract/engine-api.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import type { Compute } from '../compute/compute.ts';

type Times = Pick<
  ExpertsReport,
  'promptTokens' | 'promptBytesRead' | 'tokens' | 'computeMs' | 'expertWaitMs' | 'elapsedMs'
>;

/** Tokens, times and bytes of the newest request. */
export class RequestProgress {
  /** How many tokens of the prompt, or of the text to score, have been computed. */
  promptTokens = 0;
  /** Tokens of the answer. */
  tokens = 0;
  /** The readings of all clocks when the request began. */
  #begun: { at: number; computeMs: number; expertWaitMs: number };
  /** Set once the first token of the answer has been sampled. */
  #prompt: { endedAt: number; bytesRead: Bytes } | undefined;
  #endedAt: number | undefined;

  constructor(private readonly compute: Pick<Compute, 'computeMs' | 'experts'>) {
    this.#begun = this.#readClocks();
    this.#endedAt = this.#begun.at;
  }

  /** Starts a request: counts and clocks begin at zero, those of the expert cache too. */
  begin(): void {
    this.compute.experts.resetCounts();
    this.#begun = this.#readClocks();
    this.promptTokens = 0;
    this.tokens = 0;
    this.#prompt = undefined;
    this.#endedAt = undefined;
  }

  endPrompt(): void {
    this.#prompt = { endedAt: performance.now(), bytesRead: this.compute.experts.report().bytesRead };
  }

  end(): void {
    this.#endedAt = performance.now();
  }

  times(): Times {
    return {
      promptTokens: this.promptTokens,
      promptBytesRead: this.#prompt?.bytesRead ?? this.compute.experts.report().bytesRead,
      tokens: this.tokens,
      ...this.#waits(),
      elapsedMs: (this.#endedAt ?? performance.now()) - this.#begun.at,
    };
  }

  /**
   * The timings of the newest request.
   * @param promptTokens those that were computed, not reused
   */
  timings(promptTokens: number): GenerateResult['timings'] {
    const promptEndedAt = this.#prompt?.endedAt ?? this.#begun.at;
    const prefillMs = promptEndedAt - this.#begun.at;
    const decodeMs = performance.now() - promptEndedAt;
    const decoded = Math.max(0, this.tokens - 1); // the first token belongs to the prefill
    return {
      prefillMs,
      prefillTokensPerSecond: perSecond(promptTokens, prefillMs),
      decodeMs,
      decodeTokensPerSecond: perSecond(decoded, decodeMs),
      ...this.#waits(),
    };
  }

  #waits(): Pick<Times, 'computeMs' | 'expertWaitMs'> {
    const { computeMs, expertWaitMs } = this.#readClocks();
    return {
      computeMs: computeMs - this.#begun.computeMs,
      expertWaitMs: expertWaitMs - this.#begun.expertWaitMs,
    };
  }

  #readClocks() {
    return {
      at: performance.now(),
      computeMs: this.compute.computeMs,
      expertWaitMs: this.compute.experts.waiting.ms,
    };
  }
}

const perSecond = (count: number, ms: number): number => (ms > 0 ? (count * 1000) / ms : 0);
