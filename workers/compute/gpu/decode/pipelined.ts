/**
 * Decoding while all experts are resident: a token is submitted whole, and the next ones before its result is back.
 * This hides the time of submission and readback. One readback per token.
 */
import type { DecodeContext, Progress } from './decode-context.ts';

/** Tokens in flight besides the one that is waited for. */
const PIPELINE_DEPTH = 2;

/** A token that was submitted whole; resolves to its result, the step state and the trace. */
type InFlightToken = Promise<ArrayBuffer[]>;

/** Decodes with several tokens in flight. Used if all experts are resident. */
export class PipelinedDecoding {
  /** Oldest first. */
  readonly #inFlight: InFlightToken[] = [];

  constructor(private readonly context: DecodeContext) {}

  /** True if no token is in flight. */
  get isIdle(): boolean {
    return this.#inFlight.length === 0;
  }

  /**
   * Waits for the oldest token in flight. If it stalled, the tokens behind it are discarded: the stall mark made their
   * kernels return at once. They are submitted again after it.
   * @param maxFurtherTokens how many tokens may be computed after this one
   */
  async next(maxFurtherTokens: number): Promise<Progress> {
    const { context } = this;
    const depth = Math.min(maxFurtherTokens, PIPELINE_DEPTH);
    while (this.#inFlight.length <= depth) await this.#submit();
    const [result, state, trace] = await this.#inFlight.shift()!;
    const stall = context.stallIn(state, trace);
    const missedLayers = context.recordPassedLayers(trace, 0, stall);
    if (!stall) return { result, missedLayers };
    context.discardTokens(this.#inFlight.length);
    await this.drain();
    context.clearStall();
    return { stall, missedLayers };
  }

  /** Waits for the tokens in flight and drops their results. */
  async drain(): Promise<void> {
    await Promise.all(this.#inFlight);
    this.#inFlight.length = 0;
  }

  async #submit(): Promise<void> {
    const { whole } = await this.context.startToken();
    this.#inFlight.push(this.context.submitUntilStall(whole));
  }
}
