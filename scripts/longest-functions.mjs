/**
 * Lists the longest functions: `node scripts/longest-functions.mjs [--root DIR] [--count N] [--max LINES]`. Tests are
 * left out. With `--max` it fails if a function is longer.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import ts from 'typescript';
import { ROOT } from './dependencies.mjs';

const { values } = parseArgs({
  options: {
    root: { type: 'string', default: ROOT },
    count: { type: 'string', default: '20' },
    max: { type: 'string' },
  },
});

/** A function's own name, or that of the variable or property that holds it. */
function nameOf(node, source) {
  const named =
    node.name ??
    (ts.isVariableDeclaration(node.parent) || ts.isPropertyAssignment(node.parent) ? node.parent.name : undefined);
  if (ts.isConstructorDeclaration(node)) return 'constructor';
  return named?.getText(source);
}

/** @returns {{ lines: number, name: string, path: string, line: number }[]} the named functions of a file */
function functionsOf(path, text) {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const found = [];
  const visit = (node) => {
    if (ts.isFunctionLike(node) && node.body) {
      const first = source.getLineAndCharacterOfPosition(node.getStart(source)).line;
      const last = source.getLineAndCharacterOfPosition(node.getEnd()).line;
      const name = nameOf(node, source);
      if (name) found.push({ lines: last - first + 1, name, path, line: first + 1 });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

const root = resolve(values.root);
const paths = execFileSync('git', ['ls-files', 'src', 'workers', 'scripts', 'bench'], { cwd: root, encoding: 'utf8' })
  .split('\n')
  .filter((path) => /\.(ts|tsx|mjs)$/.test(path) && !/\.test\.|\/golden\//.test(path));
const functions = paths.flatMap((path) => functionsOf(path, readFileSync(join(root, path), 'utf8')));
functions.sort((a, b) => b.lines - a.lines);
for (const { lines, name, path, line } of functions.slice(0, Number(values.count))) {
  console.log(`${String(lines).padStart(4)}  ${name}  ${path}:${line}`);
}
const limit = values.max === undefined ? Number.POSITIVE_INFINITY : Number(values.max);
const tooLong = functions.filter(({ lines }) => lines > limit);
console.log(`functions: ${functions.length}, ${tooLong.length} longer than ${values.max ?? 'any limit'}`);
process.exitCode = tooLong.length > 0 ? 1 : 0;
