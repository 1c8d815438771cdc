/** Finds the token of a text that the model has read. Pure. */

/** A character of one of several texts, such as a message of a conversation. */
export interface TextPlace {
  /** The text, and the texts that follow it in what the model has read. */
  texts: readonly string[];
  /** Index in the first one. */
  offset: number;
}

/**
 * Finds the token that a character of a message belongs to. Chat templates and tokenizers change white space, so only
 * other characters are compared. Later messages are found first, because a template may add text before the first one.
 * @param pieces text of each token
 * @returns index of the token; undefined if the text is not among what was read
 */
export function tokenOfCharacter(pieces: readonly string[], { texts, offset }: TextPlace): number | undefined {
  const read = withoutSpace(pieces.join(''));
  let start = read.length;
  for (const text of texts.toReversed()) {
    const sought = withoutSpace(text);
    start = start < sought.length ? -1 : read.lastIndexOf(sought, start - sought.length);
    if (start < 0) return undefined;
  }
  // White space before a word belongs to the word's token.
  const character = start + withoutSpace(texts[0].slice(0, offset)).length;
  let end = 0;
  for (const [token, piece] of pieces.entries()) {
    end += withoutSpace(piece).length;
    if (end > character) return token;
  }
  return undefined;
}

const withoutSpace = (text: string): string => text.replace(/\s/g, '');
