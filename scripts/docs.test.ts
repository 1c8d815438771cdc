/** Documents may only name files that exist. */
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
