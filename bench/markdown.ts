/**
 * Measures how long drawing a long answer keeps the page's thread: all of it at once, and while its end streams in.
 *
 *   npx tsx bench/markdown.ts
 */
import { withBench } from './bench-page.ts';
import type { BenchPage } from './markdown-page.ts';

const dependencies = ['preact', 'preact/hooks', '@preact/signals', 'marked', 'dompurify', 'highlight.js/lib/core'];

await withBench<BenchPage>('markdown', { dependencies }, async (call) => {
  console.log('| answer | whole, ms | step: median, ms | longest, ms | long tasks |\n|---|--:|--:|--:|--:|');
  for (const { name, whole, median, longest, longTasks } of await call('run'))
    console.log(`| ${name} | ${[whole, median, longest].map((ms) => ms.toFixed(1)).join(' | ')} | ${longTasks} |`);
});
