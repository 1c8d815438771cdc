/**
 * `npm test`: installs what is missing, then runs the checks (types, lint, import rules), the tests in Node, the tests
 * in Chromium on a WebGPU adapter, the end-to-end tests, and the journeys in other browsers. The last line of the output
 * has the total counts. If a browser is missing, the lines above it name the journeys that did not run.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBuild } from './build.mjs';
import { ensureChromium } from './chromium.mjs';
import { ensureDependencies, ROOT } from './dependencies.mjs';
import { ensureKernels } from './kernels.mjs';
import { ensureOtherBrowsers } from './other-browsers.mjs';

ensureDependencies();
ensureKernels();
process.env.MIXTAB_CHROMIUM = ensureChromium();
const missingBrowsers = ensureOtherBrowsers();
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

/** @returns Vitest's report, and as `ok` whether it ended without an error */
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
  return { ok, ...read(file) };
}

function vitestLayer(project) {
  const { ok, numPassedTests = 0, numFailedTests = 0 } = vitest(project);
  return counted(project, ok, numPassedTests, numFailedTests);
}

/**
 * Journeys in other browsers. A browser that could not be installed counts as one failure, as a missing Chromium does.
 * One that was left out, or that this system has no package for, is only reported.
 */
function otherBrowsers() {
  const { ok, numPassedTests = 0, numFailedTests = 0, testResults = [] } = vitest('browsers');
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
  const notRun = tests.filter(({ status }) => status === 'skipped').map(({ fullName }) => fullName);
  const notInstalled = missingBrowsers.filter(({ failed }) => failed).length;
  const nothingToRun = ok && tests.length > 0 && notRun.length === tests.length;
  if (nothingToRun) return { passed: 0, failed: notInstalled, notRun };
  return { ...counted('browsers', ok, numPassedTests, numFailedTests + notInstalled), notRun };
}

function playwright() {
  const file = join(reports, 'e2e.json');
  const ok = run('npx', ['playwright', 'test', '--reporter=list,json'], { PLAYWRIGHT_JSON_OUTPUT_NAME: file });
  const stats = read(file)?.stats;
  if (stats?.flaky) console.log(`e2e: ${stats.flaky} of these passed only on retry (listed above as flaky)`);
  return counted('e2e', ok, (stats?.expected ?? 0) + (stats?.flaky ?? 0), stats?.unexpected ?? 0);
}

const layers = [check(), vitestLayer('node'), vitestLayer('gpu'), playwright(), otherBrowsers()];
const sum = (key) => layers.reduce((total, layer) => total + layer[key], 0);
for (const { name, reason } of missingBrowsers) console.log(`${name} is missing, because ${reason}.`);
for (const name of layers.at(-1).notRun) console.log(`Not run: ${name}`);
console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
process.exitCode = sum('failed') > 0 ? 1 : 0;
