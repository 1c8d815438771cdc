/** A vocabulary as the grammar library wants it, from what tokens stand for, so that both kinds of tokenizers are alike. */
import { type TokenId, tokenId } from '../../src/contract/ids.ts';
import { BYTE_CHARACTERS } from '../format/pre-tokenizers.ts';
import type { Tokenizer } from './tokenizer.ts';

export interface GrammarVocabulary {
  /** Bytes of each token in the alphabet of byte-level BPE; empty for those that no answer may have. */
  pieces: string[];
  /** Tokens that end an answer. */
  endIds: TokenId[];
}

export function grammarVocabulary(tokenizer: Tokenizer): GrammarVocabulary {
  const ids = Array.from({ length: tokenizer.vocabularySize }, (_, id) => tokenId(id));
  return {
    pieces: ids.map((id) => (tokenizer.isEndOfGeneration(id) ? '' : pieceOf(tokenizer.bytesOf(id)))),
    endIds: ids.filter((id) => tokenizer.isEndOfGeneration(id)),
  };
}

/** The library lets control characters but line ends into texts of a given length, which JSON does not: they go altogether. */
function pieceOf(bytes: Uint8Array): string {
  const outlaw = bytes.some((byte) => byte < 0x20 && byte !== 0x0a) || !isPartOfUtf8(bytes);
  return outlaw ? '' : Array.from(bytes, (byte) => BYTE_CHARACTERS[byte]).join('');
}

/** Whether these bytes may stand in UTF-8, from the midst of one character to the midst of another. */
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
