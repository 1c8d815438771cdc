/**
 * `npm test`: installs what is missing, then runs the checks (types, lint, import rules), the tests in Node, the tests
 * in Chromium on a WebGPU adapter, and the end-to-end tests. The last line of the output has the total counts.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBuild } from './build.mjs';
import { ensureChromium } from './chromium.mjs';
import { ensureDependencies, ROOT } from './dependencies.mjs';
import { ensureKernels } from './kernels.mjs';

ensureDependencies();
ensureKernels();
process.env.MIXTAB_CHROMIUM = ensureChromium();
ensureBuild();

const reports = mkdtempSync(join(tmpdir(), 'mixtab-reports-'));
process.on('exit', () => rmSync(reports, { recursive: true, force: true }));

function run(command, args, env = {}) {
  return spawnSync(command, args, { cwd: ROOT, stdio: 'inherit', env: { ...process.env, ...env } }).status === 0;
}

function read(report) {
  try {
    return JSON.parse(readFileSync(report, 'utf8'));
  } catch {
    return undefined; // the runner crashed before it wrote the report
  }
}

/** Counts a layer as failed once if it ran no test, or if its runner failed although no test did. */
function counted(name, ok, passed, failed) {
  const broken = failed === 0 && (!ok || passed === 0);
  console.log(`${name}: ${passed} passed, ${failed + (broken ? 1 : 0)} failed`);
  return { passed, failed: failed + (broken ? 1 : 0) };
}

function check() {
  const ok = run('npm', ['run', '-s', 'check']);
  return counted('check', ok, ok ? 1 : 0, ok ? 0 : 1);
}

function vitest(project) {
  const file = join(reports, `${project}.json`);
  const ok = run('npx', [
    'vitest',
    'run',
    '--project',
    project,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${file}`,
  ]);
  const report = read(file);
  return counted(project, ok, report?.numPassedTests ?? 0, report?.numFailedTests ?? 0);
}

function playwright() {
  const file = join(reports, 'e2e.json');
  const ok = run('npx', ['playwright', 'test', '--reporter=list,json'], { PLAYWRIGHT_JSON_OUTPUT_NAME: file });
  const stats = read(file)?.stats;
  if (stats?.flaky) console.log(`e2e: ${stats.flaky} of these passed only on retry (listed above as flaky)`);
  return counted('e2e', ok, (stats?.expected ?? 0) + (stats?.flaky ?? 0), stats?.unexpected ?? 0);
}

const layers = [check(), vitest('node'), vitest('gpu'), playwright()];
const sum = (key) => layers.reduce((total, layer) => total + layer[key], 0);
console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
process.exitCode = sum('failed') > 0 ? 1 : 0;
