/**
 * `npm test [-- --quick]`: installs what is missing, then runs the checks (types, lint, import rules), the tests in Node,
 * the tests in Chromium on a WebGPU adapter, the end-to-end tests, and the journeys in other browsers. The last line of
 * the output has the total counts. If a browser is missing, the lines above it name the journeys that did not run.
 * `--quick` runs the checks, the tests in Node and a few of each other layer.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureBuild } from './build.mjs';
import { ensureChromium } from './chromium.mjs';
import { ensureDependencies, ROOT } from './dependencies.mjs';
import { ensureKernels } from './kernels.mjs';
import { runLanes } from './layers.mjs';
import { ensureOtherBrowsers, findFirefox, findWebKit } from './other-browsers.mjs';
import { ensureVulkanLoader } from './vulkan.mjs';

/** Of the `gpu` layer: two kernels, the engine, the store. */
const QUICK_GPU_FILES = ['ops/attention', 'ops/router', 'engine/engine.gpu', 'indexed-db-store'];
/** Two journeys: the first visit with a story, and a model from an address. */
const QUICK_JOURNEYS = ['e2e/builtin.spec.ts'];

const { quick } = readOptions();
ensureDependencies();
ensureKernels();
process.env.MIXTAB_CHROMIUM = ensureChromium();
ensureVulkanLoader(); // the test that needs it says so if this fails
const missingBrowsers = quick ? [] : ensureOtherBrowsers();
ensureBuild();

const reports = mkdtempSync(join(tmpdir(), 'mixtab-reports-'));
process.on('exit', () => rmSync(reports, { recursive: true, force: true }));

function readOptions() {
  try {
    return parseArgs({ options: { quick: { type: 'boolean', default: false } } }).values;
  } catch (error) {
    process.stderr.write(`${error.message}\nUse npm test, or npm test -- --quick.\n`);
    process.exit(2);
  }
}

const reportOf = (name) => join(reports, `${name}.json`);

function read(name) {
  try {
    return JSON.parse(readFileSync(reportOf(name), 'utf8'));
  } catch {
    return undefined; // the runner crashed before it wrote the report
  }
}

/** Counts a layer as failed once if it ran no test, or if its runner failed although no test did. */
function counted(ok, passed, failed) {
  const broken = failed === 0 && (!ok || passed === 0);
  return { passed, failed: failed + (broken ? 1 : 0) };
}

/** @param {string[]} files parts of the paths of the files to run; default: all */
function vitest(name, files = []) {
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportOf(name)}`];
  return {
    name,
    command: 'npx',
    args: ['vitest', 'run', ...files, '--project', name, ...reporters],
    count(ok) {
      const { numPassedTests = 0, numFailedTests = 0 } = read(name) ?? {};
      return counted(ok, numPassedTests, numFailedTests);
    },
  };
}

/**
 * Journeys in other browsers. A browser that could not be installed counts as one failure, as a missing Chromium does.
 * One that was left out, or that this system has no package for, is only reported.
 */
function otherBrowsers(files) {
  return {
    ...vitest('browsers', files),
    count(ok) {
      const { numPassedTests = 0, numFailedTests = 0, testResults = [] } = read('browsers') ?? {};
      const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
      const notRun = tests
        .filter(({ status }) => ['skipped', 'pending'].includes(status))
        .map(({ fullName }) => fullName);
      const notInstalled = missingBrowsers.filter(({ failed }) => failed).length;
      const nothingToRun = ok && tests.length > 0 && notRun.length === tests.length;
      if (nothingToRun) return { passed: 0, failed: notInstalled, notRun };
      return { ...counted(ok, numPassedTests, numFailedTests + notInstalled), notRun };
    },
  };
}

function journeys(files = []) {
  return {
    name: 'e2e',
    command: 'npx',
    args: ['playwright', 'test', ...files, '--reporter=list,json'],
    env: { PLAYWRIGHT_JSON_OUTPUT_NAME: reportOf('e2e') },
    count(ok) {
      const { expected = 0, flaky = 0, unexpected = 0 } = read('e2e')?.stats ?? {};
      const notes = flaky ? [`e2e: ${flaky} of these passed only on retry (listed above as flaky)`] : [];
      return { ...counted(ok, expected + flaky, unexpected), notes };
    },
  };
}

const check = {
  name: 'check',
  command: 'npm',
  args: ['run', '-s', 'check'],
  count: (ok) => counted(ok, ok ? 1 : 0, ok ? 0 : 1),
};

/** The layers, in lanes that run side by side: neither software GPU nor checks can use two cores by themselves. */
function lanes() {
  if (!quick) return [[check, vitest('node'), journeys(), otherBrowsers()], [vitest('gpu')]];
  const browser = [findFirefox()?.webgpu && 'firefox', findWebKit() && 'webkit'].find(Boolean);
  return [
    [check, vitest('node')],
    [vitest('gpu', QUICK_GPU_FILES), journeys(QUICK_JOURNEYS), ...(browser ? [otherBrowsers([browser])] : [])],
  ];
}

/** The result of each layer that has ended, by name. */
const results = new Map();
await runLanes(lanes(), {
  order: ['check', 'node', 'gpu', 'e2e', 'browsers'],
  cwd: ROOT,
  summary({ name, count }, ok) {
    const result = count(ok);
    results.set(name, result);
    const { passed, failed, notes = [] } = result;
    return [...notes, `${name}: ${passed} passed, ${failed} failed`].join('\n');
  },
});
const sum = (key) => [...results.values()].reduce((total, layer) => total + layer[key], 0);
for (const { name, reason } of missingBrowsers) console.log(`${name} is missing, because ${reason}.`);
for (const name of results.get('browsers')?.notRun ?? []) console.log(`Not run: ${name}`);
if (quick) console.log('Only a part of the tests ran (--quick). npm test runs all of them.');
console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
process.exitCode = sum('failed') > 0 ? 1 : 0;
