/** Answers in a real DOM: how much of them is rendered again, and what happens to one that cannot be rendered. */
import { h, render } from 'preact';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { HOSTILE } from './hostile-markdown-testing.ts';
import { Markdown } from './Markdown.tsx';

/** For code that the page loads when it first needs it. On a busy machine that takes longer than a wait's own second. */
const ON_ANY_MACHINE = { timeout: 100_000 };

let root: HTMLElement;

beforeEach(() => {
  root = document.createElement('div');
  document.body.append(root);
});

afterEach(() => {
  render(null, root);
  root.remove();
  vi.restoreAllMocks();
});

/** Renders an answer, and waits for the code that renders Markdown. */
async function show(text: string): Promise<void> {
  render(h(Markdown, { text }), root);
  await vi.waitFor(() => expect(root.querySelector('.prose:not(.plain)')).toBeTruthy(), ON_ANY_MACHINE);
}

/** Renders a longer text. @returns how many elements with HTML of their own got new HTML */
async function renderedAgain(text: string): Promise<number> {
  const changed = new Set<Node>();
  const observer = new MutationObserver((records) => {
    for (const { target } of records) changed.add(target);
  });
  observer.observe(root, { childList: true, subtree: true, characterData: true });
  render(h(Markdown, { text }), root);
  await Promise.resolve();
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
  await vi.waitFor(() => expect(root.querySelectorAll('.hljs-keyword')).toHaveLength(1600), ON_ANY_MACHINE);
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

/** Adds up the characters that are rendered as HTML. */
async function countRendered(): Promise<() => number> {
  const { default: DOMPurify } = await import('dompurify');
  const real = DOMPurify.sanitize.bind(DOMPurify);
  let characters = 0;
  vi.spyOn(DOMPurify, 'sanitize').mockImplementation(((html: string) => {
    characters += html.length;
    return real(html);
  }) as typeof DOMPurify.sanitize);
  return () => characters;
}

it('renders as much for a token at the end of a long answer as at the end of a short one', async () => {
  const kinds: Record<string, string> = {
    prose: 'Some *words* of an answer, with `code`.\n\n'.repeat(1200),
    'one paragraph': 'Some *words* of an answer, with `code`.\n'.repeat(1200),
    list: '- an item with **bold** words\n'.repeat(1600),
    table: `| a | b |\n|---|---|\n${'| one cell | another one |\n'.repeat(1800)}`,
    code: `\`\`\`js\n${'let value = "text";\n'.repeat(2500)}`,
  };
  await show('The code that renders Markdown is loaded.');
  const rendered = await countRendered();
  for (const [name, text] of Object.entries(kinds)) {
    const counts: number[] = [];
    for (const length of [9_000, 20_000, 45_000]) {
      await show(text.slice(0, length));
      const before = rendered();
      const TOKENS = 20;
      for (let token = 1; token <= TOKENS; token++) {
        render(h(Markdown, { text: text.slice(0, length + 4 * token) }), root);
        await Promise.resolve();
      }
      counts.push((rendered() - before) / TOKENS);
    }
    // The last section has at most 4,000 characters of Markdown, whatever is before it. A table's HTML has the most.
    expect(Math.max(...counts), `${name}: ${counts}`).toBeLessThan(20_000);
    expect(Math.min(...counts), `${name}: ${counts}`).toBeGreaterThan(0);
  }
});

/** Milliseconds to draw `text`. The best of three, since others use the machine. Before each, `before` is drawn. */
async function timeToDraw(text: string, before?: string): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < 3; round++) {
    render(null, root);
    if (before !== undefined) await show(before);
    const startedAt = performance.now();
    render(h(Markdown, { text }), root);
    await Promise.resolve();
    times.push(performance.now() - startedAt);
  }
  return Math.min(...times);
}

it('draws more of any hostile text in at most ten times what drawing as much prose at once takes', async () => {
  await show('The code that renders Markdown is loaded.');
  const prose = 'Some *words* of an ordinary answer, with `code` and **more**. '.repeat(8);
  const usual = await timeToDraw(`${prose}\n\n`.repeat(19_000 / prose.length));
  const slow = [];
  for (const [name, make] of Object.entries(HOSTILE)) {
    const text = make(19_000); // longer sections are plain text
    const ratio = (await timeToDraw(text, text.slice(0, 18_000))) / usual;
    if (ratio > 10) slow.push({ name, ratio });
  }
  expect(slow).toEqual([]);
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
