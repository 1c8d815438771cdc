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
/** Separates answers that are drawn as one conversation. */
const NEXT = '\n\n=====\n\n';
ANSWERS['60 answers of 5 kB'] = repeated(60, (n) => repeated(18, (m) => `${n} ${m} ${PROSE}`, '\n\n'), NEXT);

/** How opening an answer went, in milliseconds. */
interface Opened {
  /** The longest time between two tasks of {@link watchGaps}: a step, and perhaps the browser's frame after it. */
  longest: number;
  /** Until all of it was drawn. */
  all: number;
}

/** Drawings of the last tenth of an answer in 100 steps, with layout, in milliseconds. */
interface Streamed {
  median: number;
  longest: number;
  /** What the browser counts as long tasks of these drawings: above 50 ms. */
  longTasks: number;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Calls `onGap` with the time between two tasks of its own, over and over, until the returned function is called. */
function watchGaps(onGap: (ms: number) => void): () => void {
  const { port1, port2 } = new MessageChannel();
  let last = performance.now();
  port1.onmessage = () => {
    const now = performance.now();
    onGap(now - last);
    last = now;
    port2.postMessage(undefined);
  };
  port2.postMessage(undefined);
  return () => port1.close();
}

function timeToDraw(root: HTMLElement, text: string): number {
  const startedAt = performance.now();
  render(
    h(
      'div',
      null,
      text.split(NEXT).map((answer, i) => h(Markdown, { key: i, text: answer })),
    ),
    root,
  );
  void root.offsetHeight; // layout belongs to it
  return performance.now() - startedAt;
}

const root = document.createElement('main');
const field = document.createElement('textarea');
let longestKey = 0;
field.addEventListener('input', ({ timeStamp }) => {
  // As the composer does it.
  field.style.height = 'auto';
  field.style.height = `${Math.min(field.scrollHeight, 200)}px`;
  longestKey = Math.max(longestKey, performance.now() - timeStamp);
});
document.body.append(root, field);

const bench = {
  names: (): string[] => Object.keys(ANSWERS),

  /** Loads the code that renders Markdown, and the highlighter. */
  async load(): Promise<void> {
    render(h(Markdown, { text: '```js\nlet a = 1;\n```' }), root);
    while (!root.querySelector('.hljs-keyword')) await pause(20);
    for (const text of Object.values(ANSWERS)) {
      timeToDraw(root, text); // the compiler has seen everything once
      await pause(500);
    }
  },

  async open(name: string): Promise<Opened> {
    render(null, root);
    await pause(300);
    field.focus();
    longestKey = 0;
    let [longest, changedAt] = [0, performance.now()];
    const observer = new MutationObserver(() => {
      changedAt = performance.now();
    });
    observer.observe(root, { childList: true, subtree: true });
    const startedAt = performance.now();
    const stop = watchGaps((ms) => {
      longest = Math.max(longest, ms);
    });
    timeToDraw(root, ANSWERS[name]);
    await Promise.resolve();
    while (performance.now() - changedAt < 500) await pause(10);
    stop();
    observer.disconnect();
    return { longest, all: changedAt - startedAt };
  },

  longestKey: (): number => longestKey,

  async stream(name: string): Promise<Streamed> {
    const text = ANSWERS[name];
    const before = Math.floor(text.length * 0.9);
    render(null, root);
    timeToDraw(root, text.slice(0, before));
    await pause(2000);
    let longTasks = 0;
    const observer = new PerformanceObserver((list) => {
      longTasks += list.getEntries().length;
    });
    observer.observe({ type: 'longtask' });
    const times: number[] = [];
    for (let step = 1; step <= 100; step++) {
      let longest = 0;
      const stop = watchGaps((ms) => {
        longest = Math.max(longest, ms);
      });
      timeToDraw(root, text.slice(0, before + Math.ceil((step * (text.length - before)) / 100)));
      await pause(20);
      stop();
      times.push(longest);
    }
    observer.disconnect();
    const sorted = times.toSorted((a, b) => a - b);
    return { median: sorted[50], longest: sorted[99], longTasks };
  },
};

export type BenchPage = typeof bench;
(globalThis as unknown as { bench: BenchPage }).bench = bench;
