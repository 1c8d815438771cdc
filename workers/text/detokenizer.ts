/** Tokens to text, as they come: a character is given out when its last byte is there, never half. */
import type { TokenId } from '../../src/contract/ids.ts';
import type { Tokenizer } from './tokenizer.ts';

export interface Detokenizer {
  /** The text that this token completes; may be empty. */
  push(id: TokenId): string;
  /** What is left at the end: an incomplete character as U+FFFD. */
  flush(): string;
}

/**
 * @param continuation true where the tokens go on a text that came before: the first token keeps its leading
 *   space. False at the beginning of a text: SentencePiece's dummy space is dropped.
 */
export function createDetokenizer(tokenizer: Tokenizer, { continuation }: { continuation: boolean }): Detokenizer {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  let atStart = !continuation && tokenizer.addsSpacePrefix;
  const given = (text: string): string => {
    if (!atStart || text === '') return text;
    atStart = false;
    return text.startsWith(' ') ? text.slice(1) : text;
  };
  return {
    push: (id) => given(decoder.decode(tokenizer.bytesOf(id), { stream: true })),
    flush: () => given(decoder.decode()),
  };
}
