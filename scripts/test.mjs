/**
 * `npm test [-- --quick]`: installs what is missing, then runs the checks (types, lint, import rules), the tests in Node,
 * the tests in Chromium on a WebGPU adapter, the end-to-end tests, and the journeys in other browsers. The last line of
 * the output has the total counts. The lines above it repeat what failed, with the first lines of the errors, and name the
 * journeys that did not run because a browser is missing.
 * `--quick` runs the checks, the tests in Node and a few of each other layer.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureBuild } from './build.mjs';
import { ensureHeadlessChromium } from './chromium.mjs';
import { ensureDependencies, programOf, ROOT } from './dependencies.mjs';
import { ensureKernels } from './kernels.mjs';
import { runLanes } from './layers.mjs';
import { ensureOtherBrowsers, findFirefox, findWebKit } from './other-browsers.mjs';
import { describeFailures, noResult, readPlaywrightReport, readVitestReport, withRunner } from './test-results.mjs';
import { ensureVulkanLoader } from './vulkan.mjs';

/** Of the `gpu` layer: two kernels, the engine, the store. */
const QUICK_GPU_FILES = ['ops/attention', 'ops/router', 'engine/engine.gpu', 'indexed-db-store'];
/** Two journeys: the first visit with a story, and a model from an address. */
const QUICK_JOURNEYS = ['e2e/builtin.spec.ts'];

const { quick } = readOptions();
ensureDependencies();
ensureKernels();
process.env.MIXTAB_CHROMIUM = ensureHeadlessChromium();
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

/** The result in the report of a layer. */
function read(name, readReport) {
  let report;
  try {
    report = JSON.parse(readFileSync(reportOf(name), 'utf8'));
  } catch {
    return noResult(); // the runner crashed before it wrote the report
  }
  return readReport(report);
}

/**
 * @param {string} name of the layer
 * @param {string[]} files parts of the paths of the files to run; default: all
 * @param {string} project the project in vitest.config.ts, or a pattern of several
 */
function vitest(name, files = [], project = name) {
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportOf(name)}`];
  return {
    name,
    command: process.execPath,
    args: [programOf('vitest'), 'run', ...files, '--project', project, ...reporters],
    result: (run) => withRunner(read(name, readVitestReport), run),
  };
}

/**
 * Journeys in other browsers. A browser that could not be installed counts as one failure, as a missing Chromium does.
 * One that was left out, or that this system has no package for, is only reported.
 */
function otherBrowsers(files) {
  return {
    ...vitest('browsers', files),
    result(run) {
      const result = read('browsers', readVitestReport);
      const nothingToRun = run.ok && result.passed === 0 && result.failures.length === 0 && result.notRun.length > 0;
      const { failures, ...rest } = nothingToRun ? result : withRunner(result, run);
      const notInstalled = missingBrowsers.filter(({ failed }) => failed);
      return {
        ...rest,
        failures: [
          ...notInstalled.map(({ name, reason }) => ({ name: `${name} is missing`, error: reason })),
          ...failures,
        ],
      };
    },
  };
}

/** In two projects: files that share processes, and files that need one each. */
const node = () => vitest('node', [], 'node*');

function journeys(files = []) {
  return {
    name: 'e2e',
    command: process.execPath,
    args: [programOf('@playwright/test', 'playwright'), 'test', ...files, '--reporter=list,json'],
    env: { PLAYWRIGHT_JSON_OUTPUT_NAME: reportOf('e2e') },
    result: (run) => withRunner(read('e2e', readPlaywrightReport), run),
  };
}

const check = {
  name: 'check',
  command: 'npm',
  args: ['run', '-s', 'check'],
  result: (run) => withRunner({ ...noResult(), passed: run.ok ? 1 : 0 }, run),
};

/** The layers, in lanes that run side by side: neither software GPU nor checks can use two cores by themselves. */
function lanes() {
  if (!quick)
    return [
      [node(), journeys(), otherBrowsers()],
      [check, vitest('gpu')],
    ];
  const browser = [findFirefox()?.webgpu && 'firefox', findWebKit() && 'webkit'].find(Boolean);
  return [
    [check, node()],
    [vitest('gpu', QUICK_GPU_FILES), journeys(QUICK_JOURNEYS), ...(browser ? [otherBrowsers([browser])] : [])],
  ];
}

const ORDER = ['check', 'node', 'gpu', 'e2e', 'browsers'];
/** The results of the layers, in this order. */
const results = new Map(ORDER.map((name) => [name, noResult()]));
await runLanes(lanes(), {
  order: ORDER,
  cwd: ROOT,
  summary(layer, ok, output) {
    const result = layer.result({ ok, output });
    results.set(layer.name, result);
    return `${layer.name}: ${result.passed} passed, ${result.failures.length} failed`;
  },
});
const layers = [...results.values()];
for (const line of describeFailures(results)) console.log(line);
for (const { name, reason } of missingBrowsers) console.log(`${name} is missing, because ${reason}.`);
for (const name of results.get('browsers').notRun) console.log(`Not run: ${name}`);
if (quick) console.log('Only a part of the tests ran (--quick). npm test runs all of them.');
const passed = layers.reduce((total, result) => total + result.passed, 0);
const failed = layers.reduce((total, { failures }) => total + failures.length, 0);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
