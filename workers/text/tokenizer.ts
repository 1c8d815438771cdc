/** What every tokenizer does: text to tokens and back. `create-tokenizer.ts` makes one from a model's vocabulary. */
import type { TokenId } from '../../src/contract/ids.ts';

export interface EncodeOptions {
  /** Put the beginning-of-sequence token in front. Default: false. */
  addBos?: boolean;
  /** Recognize the texts of control tokens, e.g. `</s>`. Default: false, so that user text cannot forge them. */
  parseSpecial?: boolean;
}

export interface Tokenizer {
  readonly bosId: TokenId;
  readonly eosId: TokenId;
  readonly vocabularySize: number;
  /** True where encoding puts a space before a text, which decoding takes away again. */
  readonly addsSpacePrefix: boolean;
  /** Texts of the control tokens, longest first: `[INST]` where the vocabulary has it as one token. */
  readonly controlPieces: readonly string[];
  encode(text: string, options?: EncodeOptions): TokenId[];
  /** What a token stands for, as UTF-8; empty for control tokens. */
  bytesOf(id: TokenId): Uint8Array;
  /** The piece itself, e.g. `</s>`. */
  pieceOf(id: TokenId): string;
  /** True for tokens that end an answer. */
  isEndOfGeneration(id: TokenId): boolean;
}
