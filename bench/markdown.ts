/**
 * Measures how long drawing a long answer keeps the page's thread: when it is opened, and while its end streams in. Keys
 * are pressed in a text field meanwhile.
 *
 *   npx tsx bench/markdown.ts
 */
import { withBench } from './bench-page.ts';
import type { BenchPage } from './markdown-page.ts';

const dependencies = ['preact', 'preact/hooks', '@preact/signals', 'marked', 'dompurify', 'highlight.js/lib/core'];

/** Between two keys, in milliseconds: a fast typist. */
const KEY_EVERY_MS = 60;

const row = (name: string, times: readonly number[]): string =>
  `| ${name} | ${times.map((ms) => ms.toFixed(1)).join(' | ')} |`;

await withBench<BenchPage>('markdown', { dependencies }, async (call, _origin, page) => {
  await call('load');
  const names = await call('names');
  console.log('Opening, ms:\n| answer | longest gap | all drawn | longest key |\n|---|--:|--:|--:|');
  for (const name of names) {
    const opened = call('open', name);
    let done = false;
    void opened.finally(() => {
      done = true;
    });
    while (!done) {
      await page.keyboard.press('a');
      await new Promise((resolve) => setTimeout(resolve, KEY_EVERY_MS));
    }
    const { longest, all } = await opened;
    console.log(row(name, [longest, all, await call('longestKey')]));
  }
  console.log('\nStreaming, ms:\n| answer | step: median | longest | long tasks of 100 steps |\n|---|--:|--:|--:|');
  for (const name of names) {
    const { median, longest, longTasks } = await call('stream', name);
    console.log(`${row(name, [median, longest])} ${longTasks} |`);
  }
});
