/** Holds what `npm test` prints at its end to the reports of the installed Vitest and Playwright. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ROOT } from './dependencies.mjs';
import {
  describeFailures,
  noResult,
  type Result,
  readPlaywrightReport,
  readVitestReport,
  withRunner,
} from './test-results.mjs';

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

/** A folder with files, in which packages of the repository can be imported. */
function project(files: Record<string, string>): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'mixtab-runner-')));
  folders.push(folder);
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

/** Runs a program of `node_modules/.bin` in a folder. Its colors show whether they are removed. */
function run(folder: string, program: string, args: string[], env: Record<string, string> = {}) {
  // This test's own runner would pass its settings on.
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('VITEST') && name !== 'NO_COLOR');
  const { status, stdout, stderr } = spawnSync(join(ROOT, 'node_modules', '.bin', program), args, {
    cwd: folder,
    env: { ...Object.fromEntries(inherited), FORCE_COLOR: '1', ...env },
    encoding: 'utf8',
  });
  return { ok: status === 0, output: stdout + stderr };
}

function runVitest(files: Record<string, string>) {
  const folder = project(files);
  const ended = run(folder, 'vitest', [
    'run',
    '--globals',
    '--reporter=default',
    '--reporter=json',
    '--outputFile.json=report.json',
  ]);
  const report = () => JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8'));
  return { ...ended, report, file: (name: string) => relative(ROOT, join(folder, name)) };
}

function runPlaywright(files: Record<string, string>) {
  const folder = project({ 'playwright.config.js': 'export default {};', ...files });
  const args = ['test', '--reporter=list,json'];
  const ended = run(folder, 'playwright', args, { PLAYWRIGHT_JSON_OUTPUT_NAME: join(folder, 'report.json') });
  const report = () => JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8'));
  return { ...ended, report, file: (name: string) => relative(ROOT, join(folder, name)) };
}

const described = (layer: string, result: Result) => describeFailures(new Map([[layer, result]])).join('\n');

describe('a report of Vitest', () => {
  it('names failed tests, files that failed to load and failed hooks, each with its error', () => {
    const { ok, report, file } = runVitest({
      'sums.test.js': `
        describe('sums', () => {
          it('are right', () => expect(1 + 1).toBe(2));
          it('are wrong', () => expect(1 + 1, 'the sum').toBe(3));
          it.skip('are left out', () => {});
        });
        it('has a long error', () => { throw new Error(Array.from({ length: 30 }, (_, i) => 'line ' + i).join('\\n')); });
      `,
      'no-import.test.js': `import './no-such-file.js'; it('is never run', () => {});`,
      'hook.test.js': `beforeAll(() => { throw new Error('no room'); }); it('needs room', () => {});`,
      'inner-hook.test.js': `
        describe('inner', () => { beforeAll(() => { throw new Error('hidden'); }); it('needs it', () => {}); });
        it('passes', () => {});
      `,
    });
    expect(ok).toBe(false);
    const result = readVitestReport(report());
    expect(result.passed).toBe(2);
    expect(result.notRun).toContain('sums are left out');
    expect(result.failures.map(({ file, name }) => `${file}: ${name}`).sort()).toEqual(
      [
        `${file('hook.test.js')}: (the file itself)`,
        `${file('inner-hook.test.js')}: (the file itself)`,
        `${file('no-import.test.js')}: (the file itself)`,
        `${file('sums.test.js')}: has a long error`,
        `${file('sums.test.js')}: sums › are wrong`,
      ].sort(),
    );
    const lines = described('node', result).split('\n');
    const at = lines.indexOf(`FAILED node › ${file('sums.test.js')} › sums › are wrong`);
    expect(lines[at + 1]).toBe('    AssertionError: the sum: expected 2 to be 3 // Object.is equality');
    expect(lines.join('\n')).toMatch(/no-such-file\.js/);
    expect(lines).toContain('    no room');
    const long = lines.indexOf(`FAILED node › ${file('sums.test.js')} › has a long error`);
    expect(lines.slice(long + 1, long + 13).map((line) => line.trim())).toEqual([
      'Error: line 0',
      ...Array.from({ length: 11 }, (_, i) => `line ${i + 1}`),
    ]);
    expect(lines).not.toContain('    line 12');
    // Its tests failed, so its exit status adds nothing.
    expect(withRunner(result, { ok, output: '' })).toBe(result);
  });

  it('lists tests that passed only on retry, with the error of their first run', () => {
    const { ok, output, report, file } = runVitest({
      'vitest.config.js': 'export default { test: { retry: 1 } };',
      'late.test.js': `
        let runs = 0;
        it('passes late', () => expect(++runs, 'runs').toBe(2));
        it('passes', () => {});
        it('fails', () => expect(++runs).toBe(0));
      `,
    });
    const result = withRunner(readVitestReport(report()), { ok, output });
    expect(result).toMatchObject({ passed: 2, flaky: [{ name: 'passes late' }], failures: [{ name: 'fails' }] });
    const lines = described('node', result).split('\n');
    const at = lines.indexOf(`FLAKY (passed on retry) node › ${file('late.test.js')} › passes late`);
    expect(lines[at + 1]).toBe('    AssertionError: runs: expected 1 to be 2 // Object.is equality');
  });

  it('counts an unhandled error, with the end of the output, although every test passed', () => {
    const { ok, output, report } = runVitest({
      'late.test.js': `it('passes', async () => {
        setTimeout(() => { throw new Error('too late'); });
        await new Promise((resolve) => setTimeout(resolve, 50));
      });`,
    });
    const result = withRunner(readVitestReport(report()), { ok, output });
    expect(result).toMatchObject({ passed: 1, failures: [{ name: expect.stringContaining('runner') }] });
    expect(described('gpu', result)).toMatch(/^\s*FAILED gpu › \(the runner.*\n[\s\S]*Error: too late\n/);
  });

  it('is missing if the runner crashed, which counts with the end of its output', () => {
    const { ok, output, report } = runVitest({ 'vitest.config.js': `throw new Error('bad config');` });
    expect(report).toThrow(/ENOENT/);
    const result = withRunner(noResult(), { ok, output });
    expect(result.failures).toHaveLength(1);
    expect(described('node', result)).toContain('bad config');
  });
});

describe('a report of Playwright', () => {
  it('names failed and flaky tests, and files that failed to load', () => {
    const { ok, report, file } = runPlaywright({
      'steps.spec.js': `
        import { expect, test } from '@playwright/test';
        test('passes', () => {});
        test.skip('is left out', () => {});
        test.describe('a journey', () => {
          test('fails', () => { expect(1 + 1, 'the sum').toBe(3); });
        });
        test.describe('with a retry', () => {
          test.describe.configure({ retries: 1 });
          test('passes', ({}, { retry }) => { expect(retry).toBe(1); });
        });
        test('takes too long', async () => { test.setTimeout(200); await new Promise(() => {}); });
      `,
    });
    expect(ok).toBe(false);
    const result = readPlaywrightReport(report());
    expect(result).toMatchObject({ passed: 2, notRun: ['is left out'] });
    const text = described('e2e', result);
    const path = file('steps.spec.js');
    expect(text).toMatch(
      new RegExp(`^FLAKY \\(passed on retry\\) e2e › ${path} › with a retry › passes\\n +Error: expect`, 'm'),
    );
    expect(text).toMatch(new RegExp(`^FAILED e2e › ${path} › a journey › fails\\n +Error: the sum$`, 'm'));
    expect(text).toMatch(new RegExp(`^FAILED e2e › ${path} › takes too long\\n +Test timeout of 200ms exceeded`, 'm'));
    expect(result.failures).toHaveLength(2);
    // Escape codes of colors.
    expect(text).not.toContain('\u001b');
  });

  it('names a file that failed to load', () => {
    const { report, file } = runPlaywright({
      'broken.spec.js': `import { test } from '@playwright/test'; import './no-such-file.js'; test('x', () => {});`,
      'good.spec.js': `import { test } from '@playwright/test'; test('passes', () => {});`,
    });
    const result = readPlaywrightReport(report());
    expect(result.failures).toHaveLength(1);
    expect(described('e2e', result)).toMatch(
      new RegExp(`^FAILED e2e › ${file('broken.spec.js')} › \\(the file itself\\)\\n +Error: .*no-such-file`, 'm'),
    );
  });
});

it('has nothing to add for a runner that ran tests and ended without an error, but for one that ran none', () => {
  const passed = { ...noResult(), passed: 1 };
  expect(withRunner(passed, { ok: true, output: 'fine' })).toBe(passed);
  expect(describeFailures(new Map([['node', passed]]))).toEqual([]);
  const { failures } = withRunner(noResult(), { ok: true, output: 'No test files found' });
  expect(failures).toMatchObject([{ name: '(no test ran)', error: 'No test files found' }]);
});

it('describes the first failures, and lists the others by name', () => {
  const failures = Array.from({ length: 25 }, (_, i) => ({
    file: 'a.test.ts',
    name: `test ${i}`,
    error: `error ${i}`,
  }));
  const lines = describeFailures(new Map([['node', { ...noResult(), failures }]]));
  expect(lines.filter((line) => line.startsWith('FAILED'))).toHaveLength(25);
  expect(lines.filter((line) => line.startsWith('    error'))).toHaveLength(20);
  expect(lines.at(-1)).toBe('FAILED node › a.test.ts › test 24');
});
