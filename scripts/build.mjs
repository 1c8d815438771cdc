/** Builds the page into dist/ if a source is newer than the last build. Needs node_modules. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { programOf, ROOT } from './dependencies.mjs';

const SOURCES = [
  'index.html',
  'cli.html',
  'embed.html',
  'examples',
  'vite.config.ts',
  'scripts/response-headers.ts',
  'package-lock.json',
  'src',
  'workers',
  'shaders',
  'public',
];

function newest(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}

/** @param {{ quiet?: boolean }} [options] `quiet` prints only errors */
export function ensureBuild({ quiet = false } = {}) {
  const built = join(ROOT, 'dist', 'index.html');
  const sources = SOURCES.map((path) => join(ROOT, path)).filter(existsSync);
  if (existsSync(built) && statSync(built).mtimeMs > Math.max(...sources.map(newest))) return;
  if (!quiet) process.stderr.write('Building the page ...\n');
  const { status } = spawnSync(process.execPath, [programOf('vite'), 'build', '--logLevel', quiet ? 'error' : 'warn'], {
    cwd: ROOT,
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) process.exit(status ?? 1);
}
