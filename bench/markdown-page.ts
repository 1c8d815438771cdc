/** The page of bench/markdown.ts. */
import { h, render } from 'preact';
import { Markdown } from '../src/page/chat/Markdown.tsx';
import '../src/ui/css/base.css';
import '../src/ui/css/prose.css';

const PROSE = 'Some *words* of an ordinary answer, with `code`, **more** and a [link](https://example.com). '.repeat(3);

const repeated = (count: number, make: (n: number) => string, between = '\n'): string =>
  Array.from({ length: count }, (_, n) => make(n)).join(between);

/** Long answers of one kind each, and all kinds together. */
const ANSWERS: Record<string, string> = {
  '400 paragraphs, 110 kB': repeated(400, (n) => `${n} ${PROSE}`, '\n\n'),
  'code, 48 kB': `\`\`\`js\n${repeated(1600, (n) => `let value${n} = "text ${n}";`)}`,
  'list, 1000 items': repeated(1000, (n) => `- item ${n} with **bold** words`),
  'table, 400 rows': `| a | b | c |\n|---|---|---|\n${repeated(400, (n) => `| ${n} | some text | \`code\` |`)}`,
};
ANSWERS['all of them'] = Object.values(ANSWERS).join('\n```\n\n');

/** Times of one answer, in milliseconds. */
interface Times {
  name: string;
  /** Drawing all of it at once, as when a conversation is opened. */
  whole: number;
  /** Median and longest of the drawings of its last tenth in 100 steps, with layout. */
  median: number;
  longest: number;
  /** What the browser counts as long tasks of these drawings: above 50 ms. */
  longTasks: number;
}

const nextTask = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

function timeToDraw(root: HTMLElement, text: string): number {
  const startedAt = performance.now();
  render(h(Markdown, { text }), root);
  void root.offsetHeight; // layout belongs to it
  return performance.now() - startedAt;
}

async function measure(name: string, text: string): Promise<Times> {
  const root = document.createElement('main');
  document.body.replaceChildren(root);
  const whole = timeToDraw(root, text);
  await nextTask();
  let longTasks = 0;
  const observer = new PerformanceObserver((list) => {
    longTasks += list.getEntries().length;
  });
  const before = Math.floor(text.length * 0.9);
  timeToDraw(root, text.slice(0, before));
  await new Promise((resolve) => setTimeout(resolve, 500));
  observer.observe({ type: 'longtask' });
  const times: number[] = [];
  for (let step = 1; step <= 100; step++) {
    times.push(timeToDraw(root, text.slice(0, before + Math.ceil((step * (text.length - before)) / 100))));
    await nextTask();
  }
  observer.disconnect();
  const sorted = times.toSorted((a, b) => a - b);
  return { name, whole, median: sorted[50], longest: sorted[99], longTasks };
}

const bench = {
  async run(): Promise<Times[]> {
    // Loads the code that renders Markdown, and the highlighter.
    const root = document.createElement('main');
    document.body.append(root);
    render(h(Markdown, { text: '```js\nlet a = 1;\n```' }), root);
    while (!root.querySelector('.hljs-keyword')) await nextTask();
    const all: Times[] = [];
    for (const [name, text] of Object.entries(ANSWERS)) all.push(await measure(name, text));
    return all;
  },
};

export type BenchPage = typeof bench;
(globalThis as unknown as { bench: BenchPage }).bench = bench;
