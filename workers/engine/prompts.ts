/** Turns what a request asks into the tokens of a prompt, for one loaded model. */
import type { GenerateRequest } from '../../src/contract/engine-api.ts';
import { MixtabError } from '../../src/contract/errors.ts';
import type { TokenId } from '../../src/contract/ids.ts';
import type { ModelManifest } from '../format/manifest.ts';
import { promptTokens } from '../text/chat-template.ts';
import { endTextsOf } from '../text/special-tokens.ts';
import type { Tokenizer } from '../text/tokenizer.ts';

type Input = GenerateRequest['input'];

/** The prompts of one model. */
export class Prompts {
  readonly #manifest: ModelManifest;
  readonly #tokenizer: Tokenizer;
  /** Characters of the longest token. */
  readonly #longest: number;
  /** Texts that end an answer to messages, see {@link endTextsOf}. */
  readonly #endTexts: readonly string[];

  constructor(manifest: ModelManifest, tokenizer: Tokenizer) {
    this.#manifest = manifest;
    this.#tokenizer = tokenizer;
    this.#longest = manifest.tokenizer.tokens.reduce((most, { length }) => Math.max(most, length), 1);
    this.#endTexts = endTextsOf(manifest.tokenizer);
  }

  /** Texts at which an answer to this input ends. */
  endTexts({ kind }: Input): readonly string[] {
    return kind === 'chat' ? this.#endTexts : [];
  }

  /** @throws MixtabError `chat-template` */
  tokens(input: Input): TokenId[] {
    const { name, tokenizer: data } = this.#manifest;
    const tokenizer = this.#tokenizer;
    if (input.kind === 'text') return tokenizer.encode(input.text, { addBos: data.addBos });
    if (!data.chatTemplate) {
      throw new MixtabError(
        'chat-template',
        `${name} has no chat template: it continues text, it does not answer.`,
        'Send plain text instead of messages, or load it with a chat format.',
      );
    }
    const last = input.messages.at(-1);
    if (last?.role !== 'assistant') return promptTokens(tokenizer, data.chatTemplate, input.messages, data.addBos);
    // An answer to be continued: its text follows the prompt as if the model had just generated it.
    return [
      ...promptTokens(tokenizer, data.chatTemplate, input.messages.slice(0, -1), data.addBos),
      ...tokenizer.encode(last.content),
    ];
  }

  /**
   * Refuses a text that certainly has more than `limit` tokens, before seconds are spent on converting it. No token has
   * more characters than the longest one of the vocabulary.
   * @throws MixtabError `context-overflow`
   */
  requireFits(input: Input, limit: number): void {
    const characters =
      input.kind === 'text' ? input.text.length : input.messages.reduce((sum, { content }) => sum + content.length, 0);
    const fewest = Math.ceil(characters / this.#longest);
    if (fewest <= limit) return;
    throw new MixtabError(
      'context-overflow',
      `A text of ${characters} characters has at least ${fewest} tokens; the context holds ${limit}.`,
      'Shorten it, or raise the context in the settings.',
    );
  }
}
