/**
 * Answers in a real DOM: how much of them is rendered in one task, how much is rendered again, and what happens to one
 * that cannot be rendered.
 */
import { h, render } from 'preact';
import { afterEach, expect, it, vi } from 'vitest';
import { rootPerTest } from '../../ui/root-testing.ts';
import { drawing, STEP_WORK } from './drawing-queue.ts';
import { HOSTILE } from './hostile-markdown-testing.ts';
import { Markdown } from './Markdown.tsx';
import { markdownCode } from './markdown-code.ts';
import { ScrollAnchor } from './scroll-anchor.ts';

let root: HTMLElement;
rootPerTest((element) => {
  root = element;
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** Resolves after a timer and a message: the counter below also waits for a message, which may come after a timer. */
async function nextTask(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve));
  const { port1, port2 } = new MessageChannel();
  await new Promise((resolve) => {
    port1.onmessage = resolve;
    port2.postMessage(undefined);
  });
  port1.close();
}

/** Resolves once everything is drawn. */
async function allDrawn(): Promise<void> {
  do await nextTask();
  while (drawing.busy.value);
}

/** Renders an answer, and waits for the code that renders Markdown and until all of it is drawn. */
async function show(text: string): Promise<void> {
  render(h(Markdown, { text }), root);
  await vi.waitFor(() => expect(root.querySelector('.prose:not(.plain)')).toBeTruthy());
  await allDrawn();
}

/** Renders a longer text. @returns how many elements with HTML of their own got new HTML */
async function renderedAgain(text: string): Promise<number> {
  const changed = new Set<Node>();
  const observer = new MutationObserver((records) => {
    for (const { target } of records) changed.add(target);
  });
  observer.observe(root, { childList: true, subtree: true, characterData: true });
  render(h(Markdown, { text }), root);
  await allDrawn();
  observer.disconnect();
  return changed.size;
}

it('renders only the end again while an answer of 1200 blocks grows', async () => {
  const text = Array.from({ length: 1200 }, (_, i) => `Paragraph **${i}** of the answer.`).join('\n\n');
  await show(text);
  expect(root.querySelectorAll('p')).toHaveLength(1200);
  const first = root.querySelector('p');
  expect(await renderedAgain(`${text} It`)).toBeLessThan(5);
  expect(await renderedAgain(`${text} It grows.\n\nAnother one.`)).toBeLessThan(5);
  expect(root.querySelector('p')).toBe(first);
});

it('colours only the last lines again while a code block of 48 kB grows', async () => {
  const code = Array.from({ length: 1600 }, (_, i) => `let value${i} = "text ${i}";`).join('\n');
  const text = `Here:\n\n\`\`\`js\n${code}`;
  await show(text);
  await vi.waitFor(() => expect(root.querySelectorAll('.hljs-keyword')).toHaveLength(1600));
  expect(root.querySelectorAll('code > span').length).toBeGreaterThan(20);
  expect(await renderedAgain(`${text}\nlet last = 1;`)).toBeLessThan(5);
  expect(root.querySelector('code')?.textContent).toBe(`${code}\nlet last = 1;`);
});

it('shows hostile text, and text after it', async () => {
  for (const [name, make] of Object.entries(HOSTILE)) {
    const text = make(5000);
    await show(`${text}\n\nThe end.`);
    expect(root.textContent, name).toContain('The end.');
  }
});

/** What was rendered as HTML, in characters. */
interface Rendered {
  /** Since it began to count. */
  total: number;
  /** The most in one task. */
  most: number;
  /** The longest HTML that was made at once. */
  longest: number;
}

/** Counts the characters that are rendered as HTML, for each task. */
async function countRendered(): Promise<Rendered> {
  const { default: DOMPurify } = await import('dompurify');
  const real = DOMPurify.sanitize.bind(DOMPurify);
  const counts: Rendered = { total: 0, most: 0, longest: 0 };
  let inTask = 0;
  vi.spyOn(DOMPurify, 'sanitize').mockImplementation(((html: string) => {
    if (inTask === 0) {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        inTask = 0;
        port1.close();
      };
      port2.postMessage(undefined);
    }
    inTask += html.length;
    counts.total += html.length;
    counts.most = Math.max(counts.most, inTask);
    counts.longest = Math.max(counts.longest, html.length);
    return real(html);
  }) as typeof DOMPurify.sanitize);
  return counts;
}

const KINDS: Record<string, string> = {
  prose: 'Some *words* of an answer, with `code`.\n\n'.repeat(1200),
  'one paragraph': 'Some *words* of an answer, with `code`.\n'.repeat(1200),
  list: '- an item with **bold** words\n'.repeat(1600),
  table: `| a | b |\n|---|---|\n${'| one cell | another one |\n'.repeat(1800)}`,
  code: `\`\`\`js\n${'let value = "text";\n'.repeat(2500)}`,
};

it('renders as much for a token at the end of a long answer as at the end of a short one', async () => {
  await show('The code that renders Markdown is loaded.');
  const rendered = await countRendered();
  for (const [name, text] of Object.entries(KINDS)) {
    const counts: number[] = [];
    for (const length of [9_000, 20_000, 45_000]) {
      await show(text.slice(0, length));
      const before = rendered.total;
      const TOKENS = 20;
      for (let token = 1; token <= TOKENS; token++) {
        render(h(Markdown, { text: text.slice(0, length + 4 * token) }), root);
        await Promise.resolve();
      }
      await allDrawn();
      counts.push((rendered.total - before) / TOKENS);
    }
    // The last section has at most 4,000 characters of Markdown, whatever is before it. A table's HTML has the most.
    expect(Math.max(...counts), `${name}: ${counts}`).toBeLessThan(20_000);
    expect(Math.min(...counts), `${name}: ${counts}`).toBeGreaterThan(0);
  }
});

/**
 * HTML of one task: of a step, and of the largest section. A row of a table has three times as many characters as its
 * Markdown, code has four.
 */
const MOST_HTML = 4 * STEP_WORK;

it('renders a bounded amount per task: opening a text, one that grows, and one that grows by much at once', async () => {
  await show('The code that renders Markdown is loaded.');
  const rendered = await countRendered();
  const hostile = Object.entries(HOSTILE).map(([name, make]) => [name, make(12_000)] as const);
  for (const [name, text] of [...Object.entries(KINDS), ...hostile]) {
    render(null, root);
    const before = { ...rendered };
    rendered.most = rendered.longest = 0;
    for (const length of [0.5 * text.length, 0.5 * text.length + 1000, text.length]) await show(text.slice(0, length));
    // A single line of up to 20,000 characters is one section. It is drawn in a task of its own.
    expect(rendered.most, name).toBeLessThanOrEqual(Math.max(MOST_HTML, rendered.longest));
    if (!(name in KINDS)) continue;
    expect(rendered.most, name).toBeLessThanOrEqual(MOST_HTML);
    // In one task, it would be much more.
    expect(rendered.total - before.total, name).toBeGreaterThan(2 * MOST_HTML);
  }
});

it('replaces plain text in steps once the code that renders Markdown arrives, and the reader sees no jump', async () => {
  await show('The code that renders Markdown is loaded.');
  const rendered = await countRendered();
  const loaded = markdownCode.value;
  markdownCode.value = undefined;
  // Less high as Markdown than as plain text, whose line breaks are of no use.
  const answer = (name: string) => `${name}${'\n\n\n\n\nSome *words* of an answer'.repeat(200)}\n\nThe end.`;
  root.style.cssText = 'height: 300px; overflow: auto; white-space: pre-wrap';
  const messages = ['a', 'b', 'c'].map((name) => [
    h('p', { class: 'bubble' }, `Question ${name}`),
    h(Markdown, { text: answer(name) }),
  ]);
  render(h('div', null, ...messages.flat()), root);
  expect(root.querySelectorAll('.plain')).toHaveLength(3);
  const anchor = new ScrollAnchor(root);
  drawing.show({ start: () => false, beforeStep: () => anchor.record(), end: () => {} });
  // The reader looks at the end of the second answer and the question after it.
  const question = root.querySelectorAll('.bubble')[2];
  root.scrollTop += question.getBoundingClientRect().top - root.getBoundingClientRect().top - 150;
  const before = question.getBoundingClientRect().top;
  rendered.most = 0;
  const moved: number[] = [];
  markdownCode.value = loaded;
  do {
    await nextTask();
    moved.push(Math.abs(question.getBoundingClientRect().top - before));
  } while (drawing.busy.value);
  drawing.show();
  root.style.cssText = '';
  expect(root.querySelectorAll('.plain, .held')).toHaveLength(0);
  expect(root.textContent.match(/The end/g)).toHaveLength(3);
  expect(moved.length).toBeGreaterThan(2);
  expect(Math.max(...moved)).toBeLessThan(2);
  expect(rendered.most).toBeLessThanOrEqual(MOST_HTML);
});

/** The first and last paragraph that are on the page. */
const shownParagraphs = (): (string | null)[] => {
  const all = [...root.querySelectorAll('p')];
  return [all[0]?.textContent ?? null, all.at(-1)?.textContent ?? null];
};

it('draws the end of a long answer first and the rest before it, and stops when it leaves the page', async () => {
  await show('The code that renders Markdown is loaded.');
  const paragraphs = Array.from({ length: 300 }, (_, i) => `Paragraph ${i} ${'word '.repeat(60)}`.trim());
  const text = paragraphs.join('\n\n');
  render(h(Markdown, { key: 'a', text }), root);
  await Promise.resolve();
  for (let turn = 0; turn < 100; turn++) await Promise.resolve(); // the first step: no other task
  const [first, last] = shownParagraphs();
  expect(last).toBe(paragraphs.at(-1));
  expect(paragraphs.indexOf(first!)).toBeGreaterThan(250);
  await allDrawn();
  expect([...root.querySelectorAll('p')].map(({ textContent }) => textContent)).toEqual(paragraphs);

  render(h(Markdown, { key: 'b', text }), root);
  await Promise.resolve();
  render(null, root);
  const rendered = await countRendered();
  await allDrawn();
  expect(rendered.total).toBe(0);
});

it('draws the same page whether a text is opened or streams in', async () => {
  await show('The code that renders Markdown is loaded.');
  const text =
    `${KINDS.prose.slice(0, 3000)}\n\n${KINDS.list.slice(0, 5000)}\n\n${KINDS.table.slice(0, 5000)}\n\n` +
    `\`\`\`js\n${'let value = `text\n`;\n'.repeat(200)}\`\`\`\n\nSee [x].\n\n[x]: https://example.org/\n`;
  await show('```js\nlet a;\n```');
  await vi.waitFor(() => expect(root.querySelector('.hljs-keyword')).toBeTruthy());
  render(null, root);
  await show(text);
  const opened = root.innerHTML;
  expect(opened).toContain('href="https://example.org/"');
  render(null, root);
  for (let length = 0; length < text.length; length += 997) {
    render(h(Markdown, { text: text.slice(0, length) }), root);
    await nextTask();
  }
  await show(text);
  expect(root.innerHTML).toBe(opened);
});

it('copies all of a code block while only its end is drawn', async () => {
  await show('The code that renders Markdown is loaded.');
  const copied: string[] = [];
  vi.spyOn(navigator.clipboard, 'writeText').mockImplementation(async (text) => void copied.push(text));
  const code = 'let value = "text";\n'.repeat(3000);
  render(h(Markdown, { text: `\`\`\`js\n${code}` }), root);
  for (let turn = 0; turn < 100; turn++) await Promise.resolve();
  expect(root.querySelector('code')!.textContent.length).toBeLessThan(code.length);
  root.querySelector('button')!.click();
  await vi.waitFor(() => expect(copied).toEqual([code]));
  await allDrawn();
  expect(root.querySelector('code')!.textContent).toBe(code);
});

it('shows a section as plain text if rendering it throws, and the others as they are', async () => {
  await show('one');
  vi.spyOn(console, 'error').mockImplementation(() => {});
  const { default: DOMPurify } = await import('dompurify');
  const real = DOMPurify.sanitize.bind(DOMPurify);
  vi.spyOn(DOMPurify, 'sanitize').mockImplementation(((html: string) => {
    if (html.includes('bad')) throw new RangeError('Maximum call stack size exceeded');
    return real(html);
  }) as typeof DOMPurify.sanitize);
  const filler = 'word '.repeat(100);
  await show(`**good** ${filler}\n\n**bad** ${filler}\n\n**fine** ${filler}`);
  expect([...root.querySelectorAll('strong')].map(({ textContent }) => textContent)).toEqual(['good', 'fine']);
  expect(root.textContent).toContain('**bad**');
});
