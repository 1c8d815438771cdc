/**
 * marked's lexer, with limits: some texts take it quadratic time, and deep nesting exceeds the stack. What exceeds a
 * limit is shown as plain text. The limits are far above what models write.
 */
import { Lexer, type MarkedOptions, type Token, type TokensList } from 'marked';

/** Depth of nested quotes and lists. `>` 2000 times exceeded the stack. */
const MAX_BLOCK_DEPTH = 12;
/** Depth of emphasis in emphasis and links. */
const MAX_INLINE_DEPTH = 12;
/** Text of one paragraph that is parsed at once: `a_` repeated takes quadratic time. In UTF-16 code units. */
const MAX_INLINE = 2000;
/** Characters that may begin or end something, in that text: each may be compared with all others. */
const MAX_MARKS = 250;
/** Length of a word: marked looks for e-mail addresses in it. */
const MAX_WORD = 500;

const MARKS = /[*_~`[\]<!\\]/g;

/** A lexer that takes time linear in the length of the text. */
export class BoundedLexer extends Lexer {
  #blockDepth = 0;
  #inlineDepth = 0;

  constructor(options: MarkedOptions) {
    super({ ...options });
  }

  override blockTokens(source: string, tokens?: Token[], lastParagraphClipped?: boolean): Token[];
  override blockTokens(source: string, tokens?: TokensList, lastParagraphClipped?: boolean): TokensList;
  override blockTokens(source: string, tokens: Token[] = [], lastParagraphClipped = false): Token[] {
    if (this.#blockDepth >= MAX_BLOCK_DEPTH) {
      tokens.push({ type: 'paragraph', raw: source, text: source, tokens: plainTokens(source) });
      return tokens;
    }
    this.#blockDepth++;
    try {
      return super.blockTokens(source, tokens, lastParagraphClipped);
    } finally {
      this.#blockDepth--;
    }
  }

  override inlineTokens(source: string, tokens: Token[] = []): Token[] {
    if (this.#inlineDepth >= MAX_INLINE_DEPTH) {
      tokens.push(...plainTokens(source));
      return tokens;
    }
    this.#inlineDepth++;
    try {
      for (const piece of inlinePieces(source)) {
        if (isCostly(piece)) tokens.push(...plainTokens(piece));
        else super.inlineTokens(piece, tokens);
      }
      return tokens;
    } finally {
      this.#inlineDepth--;
    }
  }
}

const isCostly = (text: string): boolean =>
  (text.match(MARKS)?.length ?? 0) > MAX_MARKS || text.split(/\s/).some((word) => word.length > MAX_WORD);

/** Cuts a long text at spaces. A piece without a space is cut anywhere. */
function inlinePieces(text: string): string[] {
  const pieces: string[] = [];
  let start = 0;
  while (text.length - start > MAX_INLINE) {
    const space = text.lastIndexOf(' ', start + MAX_INLINE - 1);
    const end = space > start ? space + 1 : start + MAX_INLINE;
    pieces.push(text.slice(start, end));
    start = end;
  }
  pieces.push(text.slice(start));
  return pieces;
}

/** Text with its line breaks, and nothing else. */
const plainTokens = (text: string): Token[] =>
  text
    .split('\n')
    .flatMap((line, i): Token[] => [
      ...(i > 0 ? [{ type: 'br', raw: '\n' } as Token] : []),
      { type: 'text', raw: line, text: line, escaped: false } as Token,
    ]);
