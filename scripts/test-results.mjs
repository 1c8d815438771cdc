/**
 * Reads the JSON reports of Vitest and Playwright, and describes what failed. Plain JavaScript without dependencies, like
 * test.mjs, which uses it.
 */
import { join, relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { ROOT } from './dependencies.mjs';

/** Of the error of a test. */
const ERROR_LINES = 12;
/** Of the output of a runner whose reports don't say why it failed. Vitest prints unhandled errors in the last 30. */
const OUTPUT_LINES = 40;
/** Failures that are described with their errors. If a whole layer failed, the rest would hide what else did. */
const DESCRIBED = 20;

/**
 * @typedef {object} Failure
 * @property {string} [file] relative to the repository; undefined if it concerns no single file
 * @property {string} name the full name of a test, or what failed instead
 * @property {string} error as the runner reports it, or the end of its output
 * @property {number} [lines] how many lines of `error` to print; default: {@link ERROR_LINES}
 */

/**
 * The result of a layer.
 * @typedef {object} Result
 * @property {number} passed tests, those that passed on retry included
 * @property {Failure[]} failures
 * @property {Failure[]} flaky tests that passed only on retry, with the error of their first run
 * @property {string[]} notRun the full names of the tests that were skipped
 */

/** @returns {Result} of a layer of which nothing is known yet */
export const noResult = () => ({ passed: 0, failures: [], flaky: [], notRun: [] });

const pathOf = (file) => relative(ROOT, file);

/**
 * @param {object} report as Vitest's reporter `json` writes it
 * @returns {Result}
 */
export function readVitestReport(report) {
  const result = noResult();
  for (const { name, status, message, assertionResults } of report.testResults) {
    const file = pathOf(name);
    const failed = assertionResults.filter((test) => test.status === 'failed');
    const passed = assertionResults.filter((test) => test.status === 'passed');
    result.passed += passed.length;
    const failureOf = ({ ancestorTitles, title, failureMessages }) => {
      // Vitest's `fullName` begins with the empty title of the file.
      const titles = [...ancestorTitles, title].filter(Boolean);
      return { file, name: titles.join(' › '), error: failureMessages.join('\n') };
    };
    result.failures.push(...failed.map(failureOf));
    // The errors of its first run are kept.
    result.flaky.push(...passed.filter(({ failureMessages }) => failureMessages.length > 0).map(failureOf));
    // The file failed to load, or a hook failed: one of the file, which has a message, or one of a `describe`.
    if (message || (status === 'failed' && failed.length === 0)) {
      const error = message || 'A hook of a describe block failed. The output of this layer has its error.';
      result.failures.push({ file, name: '(the file itself)', error });
    }
    const skipped = assertionResults.filter((test) => ['skipped', 'pending'].includes(test.status));
    result.notRun.push(...skipped.map(({ fullName }) => fullName.trim()));
  }
  return result;
}

/** All tests in a suite of Playwright's report, with their titles from the outermost `describe` inwards. */
function testsIn({ specs = [], suites = [] }, titles = []) {
  return [
    ...specs.flatMap(({ title, file, tests }) =>
      tests.map((test) => ({ ...test, file, name: [...titles, title].join(' › ') })),
    ),
    ...suites.flatMap((suite) => testsIn(suite, [...titles, suite.title])),
  ];
}

/**
 * @param {object} report as Playwright's reporter `json` writes it
 * @returns {Result}
 */
export function readPlaywrightReport(report) {
  const result = noResult();
  for (const { status, file, name, results } of report.suites.flatMap((fileSuite) => testsIn(fileSuite))) {
    const errors = results.map((run) => run.errors.map(({ message }) => message).join('\n') || `(${run.status})`);
    const failure = (error) => ({ file: pathOf(join(report.config.rootDir, file)), name, error });
    if (status === 'unexpected') result.failures.push(failure(errors.at(-1) ?? '(did not run)'));
    if (status === 'flaky') result.flaky.push(failure(errors[0]));
    if (status === 'expected' || status === 'flaky') result.passed++;
    if (status === 'skipped') result.notRun.push(name);
  }
  // A file that failed to load, or the runner itself.
  for (const { message, location } of report.errors) {
    const file = location && pathOf(location.file);
    result.failures.push({ file, name: file ? '(the file itself)' : '(the runner itself)', error: message });
  }
  return result;
}

/**
 * Adds a failure if a layer failed although none of its tests did: its runner crashed, or ran no test.
 * @param {Result} result
 * @param {object} run
 * @param {boolean} run.ok whether the runner ended without an error
 * @param {string} run.output the end of what it printed
 * @returns {Result}
 */
export function withRunner(result, { ok, output }) {
  const { passed, failures } = result;
  if (failures.length > 0 || (ok && passed > 0)) return result;
  const name = ok ? '(no test ran)' : '(the runner itself, or an error outside of the tests)';
  const end = output.trimEnd().split('\n').slice(-OUTPUT_LINES).join('\n');
  return { ...result, failures: [{ name, error: end, lines: OUTPUT_LINES }] };
}

function entryOf(layer, { file, name, error, lines = ERROR_LINES }, kind) {
  const text = stripVTControlCharacters(error).trim().split('\n').slice(0, lines);
  return [`${kind} ${[layer, file, name].filter(Boolean).join(' › ')}`, ...text.map((line) => `    ${line.trimEnd()}`)];
}

/**
 * The lines that repeat what failed, and what passed only on retry, for the end of the output.
 * @param {Map<string, Result>} results by the names of the layers
 * @returns {string[]}
 */
export function describeFailures(results) {
  const all = (key) => [...results].flatMap(([layer, result]) => result[key].map((failure) => ({ layer, failure })));
  const lines = [
    ...all('flaky').map(({ layer, failure }) => entryOf(layer, failure, 'FLAKY (passed on retry)')),
    ...all('failures').map(({ layer, failure }) => entryOf(layer, failure, 'FAILED')),
  ];
  return lines.flatMap((entry, i) => (i < DESCRIBED ? ['', ...entry] : entry.slice(0, 1)));
}
