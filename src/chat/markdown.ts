/** Markdown of an answer as safe HTML. A module of its own, loaded when the first answer needs it. */
import DOMPurify from 'dompurify';
import { marked } from 'marked';

export function renderMarkdown(text: string): string {
  const html = marked.parse(text, { async: false, breaks: true, gfm: true });
  // Answers need no images (which would call home), forms or styles.
  return DOMPurify.sanitize(html, { FORBID_TAGS: ['img', 'style', 'form', 'input', 'video', 'audio'], FORBID_ATTR: ['style'] });
}
