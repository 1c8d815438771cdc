/**
 * Converts the Markdown of an answer to safe HTML. It is loaded when the first answer is shown.
 *
 * An answer is split into blocks, and only changed blocks are rendered again: while text streams in, that is the last
 * one. HTML in an answer is escaped and shown as text. DOMPurify is the second line of defence.
 */
import { signal } from '@preact/signals';
import DOMPurify from 'dompurify';
import { Marked, Renderer, type RendererObject, type Token } from 'marked';

type Highlight = (code: string, language: string) => string | undefined;

/** Undefined until the first code block has loaded the highlighter. */
const highlight = signal<Highlight | undefined>(undefined);
let requested = false;

const escapeHtml = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]!);

// An object and not a class, because marked only copies enumerable methods.
const renderer: RendererObject = {
  html: ({ text }) => escapeHtml(text),

  checkbox: ({ checked }) => (checked ? '☑ ' : '☐ '),

  code({ text, lang }: { text: string; lang?: string }): string {
    const language = /^[\w#+-]+/.exec(lang ?? '')?.[0] ?? '';
    if (!requested) {
      requested = true;
      void import('./highlight.ts').then((module) => {
        cache.clear();
        highlight.value = module.highlightCode;
      });
    }
    const body = highlight.value?.(text, language) ?? escapeHtml(text);
    const name = escapeHtml(language || 'text');
    return (
      `<div class="code"><div class="code-head"><span>${name}</span>` +
      `<button type="button" data-copy>Copy</button></div>` +
      `<pre tabindex="0" role="region" aria-label="Code, ${name}"><code>${body}</code></pre></div>`
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

/** HTML of rendered blocks by their Markdown and everything else they depend on. */
const cache = new Map<string, string>();
/** Every state of a block that streams in takes one entry. The cache is emptied when it is full. */
const MAX_CACHED = 400;

/**
 * @param text Markdown
 * @returns sanitized HTML of each block, in order
 */
export function renderBlocks(text: string): string[] {
  const version = highlight.value ? 'h' : 'p'; // reading the signal here renders again once the highlighter is loaded
  const tokens = marked.lexer(text);
  const links = Object.keys(tokens.links).join(); // a link definition below changes links above it
  return tokens
    .filter(({ type }) => type !== 'space')
    .map((token) => renderBlock(token, `${version}${links}\n${token.raw}`));
}

function renderBlock(token: Token, key: string): string {
  const known = cache.get(key);
  if (known !== undefined) return known;
  // Images would send requests to other sites. Answers need neither forms nor styles.
  const html = DOMPurify.sanitize(marked.parser([token], marked.defaults), {
    FORBID_TAGS: ['img', 'style', 'form', 'input', 'video', 'audio', 'svg', 'math'],
    FORBID_ATTR: ['style'],
  });
  if (cache.size >= MAX_CACHED) cache.clear();
  cache.set(key, html);
  return html;
}
