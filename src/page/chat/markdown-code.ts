/** Loads the code that renders Markdown, when the first chat is shown. */
import { signal } from '@preact/signals';
import { loadCode } from '../state/lazy-code.ts';
import type { MarkdownCode } from './CodeBlock.tsx';

/** Undefined until it is loaded. */
export const markdownCode = signal<MarkdownCode | undefined>(undefined);

let loading: Promise<void> | undefined;

/** Loads the code, or tries it again. Resolves when it is loaded, or cannot be. */
export function loadMarkdown(): Promise<void> {
  if (markdownCode.peek()) return Promise.resolve();
  loading ??= loadCode(() => import('./markdown.ts')).then((module) => {
    loading = undefined;
    markdownCode.value = module;
  });
  return loading;
}
