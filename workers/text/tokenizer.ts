/** The interface of all tokenizers. `create-tokenizer.ts` makes one from a model's vocabulary. */
import type { TokenId } from '../../src/contract/ids.ts';

/** How a text is encoded. */
export interface EncodeOptions {
  /** Whether to put the beginning-of-sequence token in front. Default: false. */
  addBos?: boolean;
  /**
   * Whether to recognize the texts of control tokens, e.g. `</s>`. Default: false, so that user text cannot forge them.
   */
  parseSpecial?: boolean;
}

/** Converts text to tokens and tokens to bytes. */
export interface Tokenizer {
  readonly bosId: TokenId;
  readonly eosId: TokenId;
  readonly vocabularySize: number;
  /** True if encoding puts a dummy space before a text. Decoding must remove it. */
  readonly addsSpacePrefix: boolean;
  /** Texts of the tokens that only templates may write, longest first: control tokens, and markers like `[INST]`. */
  readonly controlPieces: readonly string[];
  /**
   * The tokens of a text. Lone surrogates are encoded as U+FFFD.
   * @throws MixtabError `context-overflow` for a text of more than four million characters
   */
  encode(text: string, options?: EncodeOptions): TokenId[];
  /** The UTF-8 bytes that a token stands for, possibly a part of a character. Empty for control tokens. */
  bytesOf(id: TokenId): Uint8Array;
  /** The token's text in the vocabulary, e.g. `</s>`. Empty for an id outside the vocabulary. */
  pieceOf(id: TokenId): string;
  /** True for tokens that end an answer. */
  isEndOfGeneration(id: TokenId): boolean;
}
