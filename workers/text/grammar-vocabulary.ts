/** The vocabulary in the form that the grammar library needs, the same for both kinds of tokenizers. */
import { type TokenId, tokenId } from '../../src/contract/ids.ts';
import { BYTE_CHARACTERS } from '../format/pre-tokenizers.ts';
import type { Tokenizer } from './tokenizer.ts';

/** A vocabulary for the grammar library. */
export interface GrammarVocabulary {
  /** Bytes of each token in the alphabet of byte-level BPE. Empty for tokens that must not be in an answer. */
  pieces: string[];
  /** Tokens that end an answer. */
  endIds: TokenId[];
}

/** Describes a tokenizer's vocabulary by the bytes of its tokens. */
export function grammarVocabulary(tokenizer: Tokenizer): GrammarVocabulary {
  const ids = Array.from({ length: tokenizer.vocabularySize }, (_, id) => tokenId(id));
  return {
    pieces: ids.map((id) => (tokenizer.isEndOfGeneration(id) ? '' : pieceOf(tokenizer.bytesOf(id)))),
    endIds: ids.filter((id) => tokenizer.isEndOfGeneration(id)),
  };
}

/**
 * The library allows control characters in strings of a given length, but JSON does not. Tokens with control characters
 * other than newlines are therefore excluded, as are bytes that cannot be in UTF-8.
 */
function pieceOf(bytes: Uint8Array): string {
  const isExcluded = bytes.some((byte) => byte < 0x20 && byte !== 0x0a) || !isPartOfUtf8(bytes);
  return isExcluded ? '' : Array.from(bytes, (byte) => BYTE_CHARACTERS[byte]).join('');
}

/** Whether these bytes can be a part of UTF-8 text. They may begin and end within a character. */
function isPartOfUtf8(bytes: Uint8Array): boolean {
  const start = bytes.findIndex((byte) => byte >> 6 !== 2);
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(start < 0 ? new Uint8Array(0) : bytes.subarray(start), {
      stream: true,
    });
    return true;
  } catch {
    return false;
  }
}
