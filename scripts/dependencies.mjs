/** Keeps node_modules in step with the lockfile. Plain JavaScript, because it runs before node_modules exists. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '..');

/** Runs `npm ci` if node_modules is missing or older than the lockfile. */
export function ensureDependencies() {
  const installed = join(ROOT, 'node_modules', '.package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(join(ROOT, 'package-lock.json')).mtimeMs) return;
  process.stderr.write('Installing dependencies (npm ci) ...\n');
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: ROOT, stdio: ['ignore', 2, 2] });
  if (status !== 0) {
    process.stderr.write('npm ci failed. Its output above says why.\n');
    process.exit(1);
  }
}

/**
 * A program of an installed package, for `node`. (npx takes a second of the CPU before it starts one.)
 * @param {string} dependency the package's name
 * @param {string} [program] one of its programs
 * @returns {string} the path of its script
 */
export function programOf(dependency, program = dependency) {
  const folder = join(ROOT, 'node_modules', dependency);
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return join(folder, typeof bin === 'string' ? bin : bin[program]);
}
