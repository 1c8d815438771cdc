import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HOSTILE } from './hostile-markdown-testing.ts';
import { codePieces, MarkdownSplitter, type Section, splitMarkdown } from './markdown-sections.ts';

const textOf = (section: Section): string => (section.kind === 'code' ? section.code : section.source);
const kinds = (text: string): string[] => splitMarkdown(text).sections.map(({ kind }) => kind);
const paragraph = 'word '.repeat(100).trim();

describe('splitMarkdown', () => {
  it('makes fenced code a section, with its language and whether it is closed', () => {
    expect(splitMarkdown('Text\n```js title\na\n\nb\n```\nMore\n~~~\nx').sections).toEqual([
      { kind: 'prose', source: 'Text' },
      { kind: 'code', language: 'js', code: 'a\n\nb', closed: true },
      { kind: 'prose', source: 'More' },
      { kind: 'code', language: '', code: 'x', closed: false },
    ]);
  });

  it('keeps a fence that is not closed by a shorter one, nor opened by text in backticks', () => {
    expect(splitMarkdown('````\n```\n````').sections).toEqual([
      { kind: 'code', language: '', code: '```', closed: true },
    ]);
    expect(kinds('```not code```')).toEqual(['prose']);
  });

  it('ends a long section at an empty line, but not within a list or an indented fence', () => {
    expect(kinds(`${paragraph}\n\n${paragraph}\n\nend`)).toEqual(['prose', 'prose', 'prose']);
    expect(kinds(`- ${paragraph}\n\n- ${paragraph}\n\n  more\n`)).toEqual(['prose']);
    expect(kinds(`1. ${paragraph}\n\n   \`\`\`\n   a\n\n   b\n   \`\`\`\n\n2. end`)).toEqual(['prose']);
    expect(kinds(`   \`\`\`\n${paragraph}\n\n${paragraph}\n   \`\`\`\n`)).toEqual(['prose']);
  });

  it('changes only the last section while text is appended, after which earlier ones stay', () => {
    const text = `${paragraph}\n\n${paragraph}\n\n\`\`\`js\n${'let a;\n'.repeat(20)}\`\`\`\n\n- one\n- two\n\n${paragraph}\n\n${paragraph}`;
    let before: Section[] = [];
    for (let length = 1; length <= text.length; length += 7) {
      const { sections } = splitMarkdown(text.slice(0, length));
      // The last two: a fence is text until its third backtick has arrived.
      for (let i = 0; i < before.length - 2; i++) expect(sections[i]).toEqual(before[i]);
      before = sections;
    }
    expect(before.length).toBe(5);
  });

  it('cuts a long table between rows, and repeats its head', () => {
    const head = '| a | b |\n|---|:-:|';
    const rows = Array.from({ length: 1000 }, (_, i) => `| row ${i} | cell |`);
    const { sections } = splitMarkdown(`Here:\n\n${head}\n${rows.join('\n')}\n\nThe end.`);
    expect(sections.length).toBeGreaterThan(4);
    expect(new Set(sections.map(({ kind }) => kind))).toEqual(new Set(['prose']));
    const sources = sections.map(textOf);
    const pieces = sources.filter((source) => source.includes('row'));
    for (const source of pieces.slice(1)) expect(source.startsWith(`${head}\n`)).toBe(true);
    expect(sources.join('\n').match(/row \d+/g)).toEqual(rows.map((_, i) => `row ${i}`));
    expect(Math.max(...sources.map(({ length }) => length))).toBeLessThan(2100);
    // A long head would be repeated too often.
    const wide = `|${' h |'.repeat(200)}\n|${'---|'.repeat(200)}`;
    expect(splitMarkdown(`${wide}\n${rows.join('\n')}`).sections).toEqual([
      { kind: 'plain', source: `${wide}\n${rows.join('\n')}` },
    ]);
  });

  it('collects link definitions, a limited number of them', () => {
    expect(splitMarkdown('See [x].\n\n[x]: https://example.org\n').definitions).toBe('[x]: https://example.org');
    expect(splitMarkdown('[x]: a\n'.repeat(1000)).definitions.split('\n')).toHaveLength(50);
  });

  it('loses no text', () => {
    const line = fc.constantFrom('```', '~~~js', '- a', '1. b', '  c', '> d', '', '   ```', '|e|', paragraph, '[x]: y');
    fc.assert(
      fc.property(fc.array(line, { maxLength: 60 }), (lines) => {
        const joined = (text: string): string => text.replace(/[\s`~]|js/g, '');
        expect(joined(splitMarkdown(lines.join('\n')).sections.map(textOf).join(''))).toBe(joined(lines.join('')));
      }),
    );
  });

  it('marks the rest of a long list or paragraph', () => {
    const items = '- an item\n'.repeat(500);
    const { sections } = splitMarkdown(`${items}\n${paragraph}\n\n${paragraph}`);
    expect(sections.map((section) => 'continues' in section)).toEqual([false, true, true, false, false]);
    expect(splitMarkdown(`${paragraph}\n`.repeat(5)).sections.map((section) => 'continues' in section)).toEqual([
      false,
      true,
    ]);
  });

  it.each(Object.entries(HOSTILE))('keeps the sections of %s short and few', (_name, make) => {
    const { sections } = splitMarkdown(make(100_000));
    expect(sections.length).toBeLessThanOrEqual(2001);
    for (const section of sections)
      if (section.kind === 'prose') expect(section.source.length).toBeLessThanOrEqual(20_000);
  });
});

it('cuts code into pieces that stay the same while it grows', () => {
  const code = Array.from({ length: 500 }, (_, i) => `line ${i};`).join('\n');
  const pieces = codePieces(code);
  expect(pieces.join('')).toBe(code);
  expect(pieces.length).toBe(9);
  expect(codePieces(`${code}\nmore`).slice(0, 8)).toEqual(pieces.slice(0, 8));
  expect(codePieces('')).toEqual([]);
});

describe('MarkdownSplitter', () => {
  it('splits a text that grows, shrinks and changes as it splits the same text at once', () => {
    const lines = [
      '```',
      '~~~js',
      '- a',
      '  c',
      '> d',
      '',
      '   ```',
      '|e|f|',
      '|-|-|',
      '[x]: y',
      'a\r',
      `| ${paragraph} |`,
    ];
    const line = fc.constantFrom(...lines, ...lines.map((each) => `${each}${paragraph}`));
    // Pairs of how far the text grows, if positive, or shrinks.
    const steps = fc.array(fc.oneof(fc.integer({ min: -700, max: 9 }), fc.nat(3000)), { maxLength: 20 });
    fc.assert(
      fc.property(fc.array(line, { maxLength: 60 }), steps, (all, changes) => {
        const splitter = new MarkdownSplitter();
        let length = 0;
        for (const change of changes) {
          length = Math.max(0, length + change);
          const text = all.join('\n').slice(0, length) + (change % 5 === 0 ? 'x' : '');
          expect(splitter.split(text)).toEqual(splitMarkdown(text));
        }
      }),
      { numRuns: 300 },
    );
  });

  it.each(Object.entries(HOSTILE))('reads few lines again when %s grows by a token', (_name, make) => {
    const text = make(60_000);
    const splitter = new MarkdownSplitter();
    splitter.split(text);
    const before = splitter.linesRead;
    for (let token = 1; token <= 10; token++) splitter.split(text + ' a'.repeat(token));
    // The last section, of at most 2,000 characters, if it has more than one line.
    expect((splitter.linesRead - before) / 10).toBeLessThanOrEqual(1100);
  });

  it('keeps the sections that do not change, and does not read open code again', () => {
    const splitter = new MarkdownSplitter();
    const text = `${`${paragraph}\n\n`.repeat(20)}\`\`\`js\n${'let a;\n'.repeat(10_000)}`;
    const before = splitter.split(text).sections;
    const lines = splitter.linesRead;
    const { sections } = splitter.split(`${text}let b;`);
    expect(splitter.linesRead - lines).toBe(1);
    for (let i = 0; i < 20; i++) expect(sections[i]).toBe(before[i]);
    expect(sections[20]).toMatchObject({ kind: 'code', code: `${'let a;\n'.repeat(10_000)}let b;` });
  });
});
