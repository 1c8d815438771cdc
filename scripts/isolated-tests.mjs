/** Which test files of the node layer need a process of their own. Plain JavaScript, for vitest.config.ts. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './dependencies.mjs';

/** Replaces a module for all that import it, and they stay loaded as long as the process. */
const MOCKS_A_MODULE = /\bvi\.(mock|doMock)\(/;

/**
 * The state of the page is in its modules, and the mutated files are held to the memory and the processor time of the
 * process.
 */
const ISOLATED_FOLDERS = ['src/page', 'scripts/fuzz'];

/**
 * @param {readonly string[]} folders where test files are, relative to the repository
 * @returns {string[]} globs for those that must not share a process with others
 */
export function isolatedTests(folders) {
  const mocking = folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true })
      .map((file) => `${folder}/${file.replaceAll('\\', '/')}`)
      .filter((file) => /\.test\.tsx?$/.test(file) && MOCKS_A_MODULE.test(readFileSync(join(ROOT, file), 'utf8'))),
  );
  return [...ISOLATED_FOLDERS.map((folder) => `${folder}/**/*.test.{ts,tsx}`), ...mocking];
}
