/**
 * Converts sections of an answer's Markdown to safe HTML. It is loaded when the first answer is shown.
 *
 * HTML in an answer is escaped and shown as text. DOMPurify is the second line of defence.
 */
import { signal } from '@preact/signals';
import DOMPurify from 'dompurify';
import { Marked, Renderer, type RendererObject } from 'marked';
import { loadCode } from '../state/lazy-code.ts';
import { BoundedLexer } from './markdown-lexer.ts';

export { codePieces, MarkdownSplitter } from './markdown-sections.ts';

type Highlight = (code: string, language: string) => string | undefined;

/** Undefined until the first code block has loaded the highlighter. The HTML of all code depends on it. */
export const highlight = signal<Highlight | undefined>(undefined);
let requested = false;

const escapeHtml = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]!);

// An object and not a class, because marked only copies enumerable methods.
const renderer: RendererObject = {
  html: ({ text }) => escapeHtml(text),

  checkbox: ({ checked }) => (checked ? '☑ ' : '☐ '),

  /** Code in a list or a quote. Code blocks of the answer itself are sections. */
  code({ text, lang }: { text: string; lang?: string }): string {
    const language = /^[\w#+-]+/.exec(lang ?? '')?.[0] ?? '';
    const name = escapeHtml(language || 'text');
    return (
      `<div class="code"><div class="code-head"><span>${name}</span>` +
      `<button type="button" data-copy>Copy</button></div>` +
      `<pre tabindex="0" role="region" aria-label="Code, ${name}"><code>${colored(text, language)}</code></pre></div>`
    );
  },

  table(token) {
    const table = Renderer.prototype.table.call(this, token);
    return `<div class="table" tabindex="0" role="region" aria-label="Table">${table}</div>`;
  },
};

const marked = new Marked({ breaks: true, gfm: true, renderer });

DOMPurify.addHook('afterSanitizeAttributes', (node) => {
  if (node.tagName !== 'A') return;
  node.setAttribute('target', '_blank');
  node.setAttribute('rel', 'noopener noreferrer');
});

// Images would send requests to other sites. Answers need neither forms nor styles.
const sanitize = (html: string): string =>
  DOMPurify.sanitize(html, {
    FORBID_TAGS: ['img', 'style', 'form', 'input', 'video', 'audio', 'svg', 'math'],
    FORBID_ATTR: ['style'],
  });

/**
 * @param source Markdown of one section
 * @param definitions link definitions of the whole answer
 * @returns sanitized HTML of each block, in order
 */
export function proseHtml(source: string, definitions: string): string[] {
  const usesLinks = definitions !== '' && source.includes('[');
  const tokens = new BoundedLexer(marked.defaults).lex(usesLinks ? `${source}\n\n${definitions}` : source);
  return tokens
    .filter(({ type }) => type !== 'space' && type !== 'def')
    .map((token) => sanitize(marked.parser([token], marked.defaults)));
}

/** @returns sanitized HTML of code. Plain, if the language is unknown or until the highlighter is loaded. */
export const codeHtml = (code: string, language: string): string => sanitize(colored(code, language));

function colored(code: string, language: string): string {
  if (!requested) {
    requested = true;
    void loadCode(() => import('./highlight.ts')).then((module) => {
      highlight.value = module?.highlightCode;
    });
  }
  return highlight.peek()?.(code, language) ?? escapeHtml(code);
}
