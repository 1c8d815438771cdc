/** Converts tokens to text one by one. A character is returned when its last byte has arrived, never in halves. */
import type { TokenId } from '../../src/contract/ids.ts';
import type { Tokenizer } from './tokenizer.ts';

/** Turns a stream of tokens into text. */
export interface Detokenizer {
  /** Returns the characters that this token completes; may be empty. */
  push(id: TokenId): string;
  /** Returns what is left at the end: U+FFFD for an incomplete character, otherwise nothing. */
  flush(): string;
}

/**
 * Creates a detokenizer for one text.
 * @param continuation true if the tokens continue an earlier text: the first token keeps its leading space. False at
 *   the beginning of a text: SentencePiece's dummy space is removed.
 */
export function createDetokenizer(tokenizer: Tokenizer, { continuation }: { continuation: boolean }): Detokenizer {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  let atStart = !continuation && tokenizer.addsSpacePrefix;
  const withoutDummySpace = (text: string): string => {
    if (!atStart || text === '') return text;
    atStart = false;
    return text.startsWith(' ') ? text.slice(1) : text;
  };
  return {
    push: (id) => withoutDummySpace(decoder.decode(tokenizer.bytesOf(id), { stream: true })),
    flush: () => withoutDummySpace(decoder.decode()),
  };
}
