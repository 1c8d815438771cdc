import { Lexer, Marked, type Token, type Tokens } from 'marked';
import { afterEach, expect, it, vi } from 'vitest';
import { HOSTILE } from './hostile-markdown-testing.ts';
import { BoundedLexer } from './markdown-lexer.ts';
import { splitMarkdown } from './markdown-sections.ts';

const { defaults } = new Marked({ breaks: true, gfm: true });
const lex = (text: string): Token[] => new BoundedLexer(defaults).lex(text);

afterEach(() => vi.restoreAllMocks());

/** Lexes every section of a text. @returns how many characters marked's own methods got, and the most at once */
function work(text: string): { blocks: number; inline: number; longest: number } {
  const blocks = vi.spyOn(Lexer.prototype, 'blockTokens');
  const inline = vi.spyOn(Lexer.prototype, 'inlineTokens');
  const { sections, definitions } = splitMarkdown(text);
  for (const section of sections) if (section.kind === 'prose') lex(`${section.source}\n\n${definitions}`);
  const lengths = (calls: unknown[][]): number[] => calls.map(([source]) => (source as string).length);
  const sum = (list: number[]): number => list.reduce((total, n) => total + n, 0);
  const [blockLengths, inlineLengths] = [lengths(blocks.mock.calls), lengths(inline.mock.calls)];
  vi.restoreAllMocks();
  return { blocks: sum(blockLengths), inline: sum(inlineLengths), longest: Math.max(0, ...inlineLengths) };
}

it.each(Object.entries(HOSTILE))('reads %s without an error, in work linear in its length', (_name, make) => {
  const [small, large] = [work(make(10_000)), work(make(40_000))];
  expect(large.longest).toBeLessThanOrEqual(2000);
  // Four times the text is four times the work; the rest is what does not divide evenly.
  expect(large.blocks).toBeLessThanOrEqual(5 * small.blocks + 40_000);
  expect(large.inline).toBeLessThanOrEqual(5 * small.inline + 40_000);
  expect(large.blocks + large.inline).toBeLessThan(40 * 40_000);
});

it('reads ordinary Markdown exactly as marked does', () => {
  const text =
    '# Title\n\nA *b* **c _d_** `e` [f](https://example.org "g") ~~h~~ https://example.org\nnext line\n\n' +
    '- one\n  - two\n    - three\n\n1. x\n\n> quote\n> > deeper\n\n| a | b |\n|---|---|\n| 1 | **2** |\n\n[f]: /g\n';
  expect(JSON.stringify(lex(text))).toBe(JSON.stringify(new Lexer({ ...defaults }).lex(text)));
});

it('shows what exceeds a limit as plain text, with its line breaks', () => {
  const [quote] = lex('>'.repeat(3000)) as [Tokens.Blockquote];
  expect(JSON.stringify(quote)).toContain('"text":">>>');
  const [paragraph] = lex(`${'*a '.repeat(200)}\n${'*b '.repeat(200)}`) as [Tokens.Paragraph];
  expect(paragraph.tokens.map(({ type }) => type)).toEqual(['text', 'br', 'text']);
  const [long] = lex(`**bold** ${'word '.repeat(1000)} *end*`) as [Tokens.Paragraph];
  expect(long.tokens[0].type).toBe('strong');
  expect(long.tokens.at(-1)?.type).toBe('em');
});
