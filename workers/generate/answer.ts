/** Collects an answer: tokens with their text, up to a stop text. */
import type { GeneratedToken, TokenLogprob } from '../../src/contract/engine-api.ts';
import type { TokenId } from '../../src/contract/ids.ts';
import type { Sample } from '../compute/compute.ts';
import { createDetokenizer } from '../text/detokenizer.ts';
import { createStopText } from '../text/stop-text.ts';
import type { Tokenizer } from '../text/tokenizer.ts';

/** A sampled token whose text is not decoded yet: that depends on the tokens before it. */
export type SampledToken = Omit<GeneratedToken, 'text'>;

/** Holds back text that may turn out to be the beginning of a stop text. */
export class Answer {
  readonly tokens: GeneratedToken[] = [];
  text = '';
  /** True once a stop text has appeared. */
  stopped = false;
  readonly #detokenizer;
  readonly #stopText;

  /** @param stop texts that end the answer */
  constructor(tokenizer: Tokenizer, stop: readonly string[] = []) {
    this.#detokenizer = createDetokenizer(tokenizer, { continuation: true });
    this.#stopText = createStopText(stop);
  }

  /** The ids of all tokens so far. */
  get ids(): TokenId[] {
    return this.tokens.map(({ id }) => id);
  }

  /** @returns the token with the text that is certain after it */
  add(token: SampledToken): GeneratedToken {
    const { text, stopped } = this.#stopText.push(this.#detokenizer.push(token.id));
    this.stopped = stopped;
    const complete = { ...token, text };
    this.tokens.push(complete);
    this.text += text;
    return complete;
  }

  /** Ends the answer. @returns the last token with the text that was held back, or undefined if there is none */
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

/**
 * Adds the bytes and texts that a request asks for to a sampled token.
 * @param topLogprobs how many of the likeliest tokens to report; undefined: none, and no bytes
 */
export function toToken(
  { id, logprob, top }: Sample,
  topLogprobs: number | undefined,
  tokenizer: Tokenizer,
): SampledToken {
  if (topLogprobs === undefined) return { id, logprob, top: [] };
  const bytesOf = (token: TokenId): number[] => [...tokenizer.bytesOf(token)];
  const likeliest = top
    .slice(0, topLogprobs)
    .map((token): TokenLogprob => ({ ...token, text: pieceText(tokenizer, token.id), bytes: bytesOf(token.id) }));
  return { id, logprob, bytes: bytesOf(id), top: likeliest };
}

/** The text of a token by itself. An incomplete character becomes U+FFFD. */
export const pieceText = (tokenizer: Tokenizer, id: TokenId): string => new TextDecoder().decode(tokenizer.bytesOf(id));
