/** Documents may only name files that exist, and the table of faults only tests that exist. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { ROOT } from './dependencies.mjs';

const FILES = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: ROOT, encoding: 'utf8' })
  .split('\n')
  .filter((path) => path && existsSync(join(ROOT, path)));
const NAMES = new Set(FILES.map((path) => basename(path)));
const DOCUMENTS = FILES.filter((path) => path.endsWith('.md'));

const FILE_NAME = /`([\w./-]+\.(?:ts|tsx|mjs|wgsl|md|css|html|py|sh|worker))`/g;
const LINK = /\]\((?!https?:|#)([^)#\s]+)[^)]*\)/g;
/** What a reader makes, or a build writes. */
const MADE = /^(dist|dist-client)\/|^(mixtab-client\.js|your-|my-)|^(x|name)\.|NAME|TYPE/;

it.each(DOCUMENTS)('%s names existing files', (path) => {
  const text = readFileSync(join(ROOT, path), 'utf8');
  const named = [...text.matchAll(FILE_NAME)].map(([, name]) => name);
  const linked = [...text.matchAll(LINK)].map(([, target]) => target);
  const exists = (name: string): boolean =>
    existsSync(join(ROOT, name)) ||
    existsSync(join(ROOT, dirname(path), name)) ||
    FILES.some((file) => file.endsWith(`/${name}`)) ||
    (!name.includes('/') && NAMES.has(name));
  expect(named.filter((name) => !MADE.test(name) && !exists(name))).toEqual([]);
  expect(linked.filter((target) => !existsSync(join(ROOT, dirname(path), target)))).toEqual([]);
});

/** The cells of the last column of each table in docs/reliability.md whose title is `test`, with the row's first cells. */
function namedTests(): { row: string; tests: string }[] {
  const named: { row: string; tests: string }[] = [];
  let inTable = false;
  for (const line of readFileSync(join(ROOT, 'docs/reliability.md'), 'utf8').split('\n')) {
    const cells = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
    if (cells.length < 4) inTable = false;
    else if (cells.at(-2) === 'test') inTable = true;
    else if (inTable && !/^--+$/.test(cells[1])) named.push({ row: cells[2] || cells[1], tests: cells.at(-2)! });
  }
  return named;
}

/** `file.test.ts`, and titles of tests in it after a colon, separated by commas or semicolons; `...` is any text. */
const TEST_FILE = /`([\w./-]+\.(?:test|spec)\.ts)(?:: ([^`]+))?`(?:: ((?:[^;`]|`(?![\w./-]+\.(?:test|spec)))*))?/g;

it.each(namedTests())('the fault "$row" has tests, and they exist', ({ tests }) => {
  const named = [...tests.matchAll(TEST_FILE)];
  expect(named.length).toBeGreaterThan(0);
  for (const [, file, inside, after] of named) {
    const paths = FILES.filter((path) => path === file || path.endsWith(`/${file}`));
    const text = paths.map((path) => readFileSync(join(ROOT, path), 'utf8')).join('\n');
    const titles = (inside ?? after ?? '').replace(/\([^()]*\)/g, '').split(/[,;] ?/);
    const missing = titles.map((title) => title.trim()).filter((title) => !hasTitle(text, title));
    expect(missing, `titles in ${file}`).toEqual([]);
  }
});

/** Whether words of a title occur in a file, on one line and in their order. */
const hasTitle = (text: string, title: string): boolean =>
  new RegExp(title.split('...').map(literally).join('.*')).test(text);

const literally = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
