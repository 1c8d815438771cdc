/**
 * Markdown of an answer as safe HTML. A module of its own, loaded when the first answer needs it.
 *
 * An answer is cut into its blocks, and a block that did not change is not made again: while text streams, only the last
 * one is. HTML in an answer is shown as text; DOMPurify stands behind that as the second wall.
 */
import { signal } from '@preact/signals';
import DOMPurify from 'dompurify';
import { Marked, Renderer, type RendererObject, type Token } from 'marked';

type Highlight = (code: string, language: string) => string | undefined;

/** undefined until the first block of code has loaded it. */
const highlight = signal<Highlight | undefined>(undefined);
let requested = false;

const escapeHtml = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]!);

// Methods of an object, not of a class: marked takes over enumerable ones only.
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
      `<div class="code"><div class="code-head"><span>${name}</span><button type="button" data-copy>Copy</button></div>` +
      `<pre tabindex="0" role="region" aria-label="Code, ${name}"><code>${body}</code></pre></div>`
    );
  },

  table(token) {
    return `<div class="table" tabindex="0" role="region" aria-label="Table">${Renderer.prototype.table.call(this, token)}</div>`;
  },
};

const marked = new Marked({ breaks: true, gfm: true, renderer });

DOMPurify.addHook('afterSanitizeAttributes', (node) => {
  if (node.tagName !== 'A') return;
  node.setAttribute('target', '_blank');
  node.setAttribute('rel', 'noopener noreferrer');
});

/** Blocks made so far; while one is written, each of its states is made once. */
const cache = new Map<string, string>();
const CACHE_SIZE = 400;

/** @returns safe HTML of each block, in order */
export function renderBlocks(text: string): string[] {
  const version = highlight.value ? 'h' : 'p'; // read here, so that who shows this is told when it changes
  const tokens = marked.lexer(text);
  const links = Object.keys(tokens.links).join(); // a definition further down changes a link above
  return tokens
    .filter(({ type }) => type !== 'space')
    .map((token) => renderBlock(token, `${version}${links}\n${token.raw}`));
}

function renderBlock(token: Token, key: string): string {
  const known = cache.get(key);
  if (known !== undefined) return known;
  // Answers need no images (which would call home), forms or styles.
  const html = DOMPurify.sanitize(marked.parser([token], marked.defaults), {
    FORBID_TAGS: ['img', 'style', 'form', 'input', 'video', 'audio', 'svg', 'math'],
    FORBID_ATTR: ['style'],
  });
  if (cache.size >= CACHE_SIZE) cache.clear();
  cache.set(key, html);
  return html;
}
