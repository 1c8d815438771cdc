/**
 * Checks who may import whom. `docs/architecture.md` draws these rules. Type imports count.
 *
 * - Every folder of `src` and `workers` that holds code has a rule.
 * - Neither the rules nor the files import each other in a cycle.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT } from './dependencies.mjs';

const PAGE_FEATURES = ['chat', 'experts', 'library', 'measure', 'settings', 'sidebar'];
const BELOW_FEATURES = ['src/contract', 'src/ui', 'src/page/state', 'src/page/services'];
const BELOW_COMPUTE = ['src/contract', 'workers/format', 'workers/store', 'workers/experts', 'workers/compute'];

/**
 * For each folder, the other folders it may import from. Packages and the folder itself are always allowed. A folder
 * with a rule of its own is not part of the folder around it, so `workers` stands for the entry points beside its folders.
 * @type {Record<string, string[]>}
 */
export const RULES = {
  'src/contract': [],
  'src/ui': ['src/contract'],
  'src/connect': ['src/contract', 'workers/engine.worker.ts', 'workers/import.worker.ts', 'workers/measure.worker.ts'],
  'src/page/state': ['src/contract'],
  'src/page/services': ['src/contract', 'src/connect', 'src/page/state'],
  ...Object.fromEntries(PAGE_FEATURES.map((name) => [`src/page/${name}`, BELOW_FEATURES])),
  'src/page/shell': [...BELOW_FEATURES, ...PAGE_FEATURES.map((name) => `src/page/${name}`)],
  'src/client': ['src/contract', 'src/connect'],
  'src/embed': ['src/contract', 'src/client'],
  'src/cli': ['src/contract', 'src/connect'],

  'workers/format': ['src/contract'],
  'workers/text': ['src/contract', 'workers/format'],
  'workers/reference': ['src/contract', 'workers/format'],
  'workers/synth': ['src/contract', 'workers/format'],
  'workers/store': ['src/contract', 'workers/format', 'workers/reader.worker.ts'],
  'workers/import': ['src/contract', 'workers/format', 'workers/store'],
  'workers/experts': ['src/contract', 'workers/format', 'workers/store'],
  'workers/compute': ['src/contract', 'workers/format', 'workers/store', 'workers/experts'],
  'workers/compute/gpu': [...BELOW_COMPUTE, 'workers/reference', 'workers/synth', 'shaders'],
  'workers/compute/cpu': [...BELOW_COMPUTE, 'workers/compute.worker.ts'],
  'workers/generate': [
    'src/contract',
    'workers/format',
    'workers/text',
    'workers/store',
    'workers/experts',
    'workers/compute',
    'workers/grammar.worker.ts',
  ],
  'workers/engine': [
    'src/contract',
    'workers/format',
    'workers/text',
    'workers/store',
    'workers/experts',
    'workers/compute',
    'workers/compute/gpu',
    'workers/compute/cpu',
    'workers/generate',
  ],
  'workers/measure': [
    'src/contract',
    'workers/format',
    'workers/store',
    'workers/import',
    'workers/experts',
    'workers/synth',
    'workers/reference',
    'workers/compute',
    'workers/compute/gpu',
    'shaders',
  ],
  // The entry points. They expose what a folder offers and hold no logic.
  workers: [
    'src/contract',
    'workers/format',
    'workers/text',
    'workers/store',
    'workers/import',
    'workers/compute/cpu',
    'workers/engine',
    'workers/measure',
  ],
};

/** Modules that only their own folder may import: features reach the workers through a service. */
const PRIVATE = ['src/page/services/workers.ts'];

const IMPORT = /(?:\bfrom\s*|\bimport\s*\(\s*|\bimport\s+|new URL\(\s*)['"](\.{1,2}\/[^'"]+)['"]/g;

const isInside = (path, folder) => path === folder || path.startsWith(`${folder}/`);

/** Tests and their helpers compare parts with each other, so they may import anything. */
const isTest = (path) => /\.test\.tsx?$/.test(path) || /(^|[/-])testing\.ts$/.test(path);

/** @returns {string | undefined} the folder whose rule a file follows */
export function folderOf(path) {
  return Object.keys(RULES)
    .filter((folder) => isInside(path, folder))
    .sort((a, b) => b.length - a.length)[0];
}

/** Whether a file belongs to a folder that a rule names, rather than to a folder inside it with a rule of its own. */
const isPartOf = (path, folder) => isInside(path, folder) && (folderOf(path) ?? '').length <= folder.length;

/**
 * @param {string} path of the file, from the root, with forward slashes
 * @param {string} text its contents
 * @returns {string[]} the paths that it imports, packages left out
 */
export function importsOf(path, text) {
  return [...text.matchAll(IMPORT)].map(([, target]) =>
    join(dirname(path), target.split('?')[0]).replaceAll('\\', '/'),
  );
}

/**
 * @param {string} path of the file, from the root, with forward slashes
 * @param {string} text its contents
 * @returns {string[]} one sentence for each import that breaks a rule
 */
export function checkFile(path, text) {
  if (isTest(path)) return [];
  const folder = folderOf(path);
  if (!folder) return [`${path}: no rule covers this folder. Add one to scripts/check-imports.mjs.`];
  const allowed = [folder, ...RULES[folder]];
  const targets = importsOf(path, text);
  const hidden = targets.filter((target) => PRIVATE.includes(target) && folder !== dirname(target));
  if (hidden.length > 0) return hidden.map((target) => `${path} imports ${target}, which is private to its folder.`);
  return targets
    .filter((target) => !allowed.some((place) => isPartOf(target, place)))
    .map((target) => `${path} imports ${target}. ${folder} may import only ${RULES[folder].join(', ') || 'itself'}.`);
}

/**
 * @param {Map<string, string[]>} edges from each node to the nodes it needs
 * @returns {string[] | undefined} a cycle, its first node repeated at the end
 */
export function findCycle(edges) {
  const done = new Set();
  const visit = (node, trail) => {
    if (trail.includes(node)) return [...trail.slice(trail.indexOf(node)), node];
    if (done.has(node)) return undefined;
    for (const next of edges.get(node) ?? []) {
      const cycle = visit(next, [...trail, node]);
      if (cycle) return cycle;
    }
    done.add(node);
    return undefined;
  };
  for (const node of edges.keys()) {
    const cycle = visit(node, []);
    if (cycle) return cycle;
  }
  return undefined;
}

/** The rules as the table of `docs/architecture.md`. */
export function rulesTable() {
  const code = (paths) => paths.map((path) => `\`${path}\``).join(', ');
  const rows = Object.entries(RULES).map(([folder, targets]) => [`\`${folder}\``, code(targets) || 'nothing']);
  const all = [['folder', 'may import'], ...rows];
  const width = (column) => Math.max(...all.map((row) => row[column].length));
  const line = (row) => `| ${row.map((cell, column) => cell.padEnd(width(column))).join(' | ')} |`;
  const rule = `| ${[0, 1].map((column) => '-'.repeat(width(column))).join(' | ')} |`;
  return [line(all[0]), rule, ...rows.map(line)].join('\n');
}

function* sourceFiles(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* sourceFiles(path);
    else if (/\.tsx?$/.test(entry.name)) yield path;
  }
}

function readSources() {
  const texts = new Map();
  for (const folder of ['src', 'workers']) {
    for (const file of sourceFiles(join(ROOT, folder))) {
      texts.set(relative(ROOT, file).replaceAll('\\', '/'), readFileSync(file, 'utf8'));
    }
  }
  return texts;
}

function findViolations(texts) {
  const found = [...texts].flatMap(([path, text]) => checkFile(path, text));
  const sources = [...texts].filter(([path]) => !isTest(path));
  // Callers name a worker's entry point only by its URL and its type, so they do not depend on its code.
  const isEntry = (path) => path.endsWith('.worker.ts');
  const edges = sources.map(([path, text]) => [path, importsOf(path, text).filter((target) => !isEntry(target))]);
  const ruleEdges = Object.entries(RULES)
    .filter(([folder]) => folder !== 'workers')
    .map(([folder, targets]) => [folder, targets.filter((target) => target in RULES)]);
  for (const [what, cycle] of [
    ['files', findCycle(new Map(edges))],
    ['rules', findCycle(new Map(ruleEdges))],
  ]) {
    if (cycle) found.push(`These ${what} import each other in a cycle: ${cycle.join(' -> ')}`);
  }
  return found;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href && process.argv.includes('--table')) {
  console.log(rulesTable());
} else if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const texts = readSources();
  const violations = findViolations(texts);
  for (const sentence of violations) console.error(sentence);
  const folders = new Set([...texts.keys()].map((path) => dirname(path))).size;
  const counts = `${Object.keys(RULES).length} rules, ${folders} folders, ${texts.size} files`;
  console.log(`imports: ${counts}, ${violations.length} violations`);
  process.exitCode = violations.length > 0 ? 1 : 0;
}
