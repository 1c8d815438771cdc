/** Enforces who may import whom (the table in docs/architecture.md). */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT } from './dependencies.mjs';

/** For files below `from`: the folders they may import from, beside packages and their own folder. First match counts. */
export const RULES = [
  { from: 'src/contract/', to: ['src/contract/'] },
  { from: 'src/engine-client.ts', to: ['src/', 'workers/import.worker.ts', 'workers/engine.worker.ts'] },
  { from: 'src/', to: ['src/'] },
  { from: 'workers/gguf/', to: ['src/contract/', 'workers/gguf/'] },
  { from: 'workers/text/', to: ['src/contract/', 'workers/text/'] },
  { from: 'workers/reference/', to: ['src/contract/', 'workers/reference/'] },
  { from: 'workers/storage/', to: ['src/contract/', 'workers/storage/', 'workers/gguf/'] },
  { from: 'workers/gpu/', to: ['src/contract/', 'workers/gpu/', 'shaders/'] },
  { from: 'workers/model/', to: ['src/contract/', 'workers/model/', 'workers/gpu/'] },
  { from: 'workers/experts/', to: ['src/contract/', 'workers/experts/', 'workers/storage/', 'workers/gpu/'] },
  { from: 'workers/', to: ['src/contract/', 'workers/'] },
];

const IMPORT = /(?:\bfrom\s*|\bimport\s*\(\s*|\bimport\s+|new URL\(\s*)['"](\.{1,2}\/[^'"]+)['"]/g;

/**
 * @param {string} path of the file, from the root, with forward slashes
 * @param {string} text its contents
 * @returns {string[]} one sentence for each import that breaks a rule
 */
export function checkFile(path, text) {
  // Tests compare parts with each other: they may import anything.
  if (/\.test\.tsx?$/.test(path)) return [];
  const rule = RULES.find(({ from }) => path.startsWith(from));
  if (!rule) return [];
  return [...text.matchAll(IMPORT)]
    .map(([, target]) => join(dirname(path), target.split('?')[0]).replaceAll('\\', '/'))
    .filter((target) => !rule.to.some((allowed) => target.startsWith(allowed)))
    .map((target) => `${path} imports ${target}; ${rule.from} may import only ${rule.to.join(', ')}`);
}

function* sourceFiles(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* sourceFiles(path);
    else if (/\.tsx?$/.test(entry.name)) yield path;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const broken = ['src', 'workers'].flatMap((folder) =>
    [...sourceFiles(join(ROOT, folder))].flatMap((file) =>
      checkFile(relative(ROOT, file).replaceAll('\\', '/'), readFileSync(file, 'utf8')),
    ),
  );
  for (const sentence of broken) console.error(sentence);
  process.exitCode = broken.length > 0 ? 1 : 0;
}
