import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ROOT } from './dependencies.mjs';

const run = (script: string, ...args: string[]) =>
  spawnSync(process.execPath, [join(ROOT, 'scripts', script), ...args], { encoding: 'utf8' });

it.each([
  [['--help'], "Unknown option '--help'"],
  [['build'], "Unexpected argument 'build'"],
  [['--port'], "Option '--port <value>' argument missing"],
])('npm start with %j names the valid options in one line', (args, reason) => {
  const { status, stdout, stderr } = run('start.mjs', ...args);
  expect([status, stdout]).toEqual([2, '']);
  expect(stderr).toBe(`${reason}. Use npm start, or npm start -- with --port NUMBER, --open or --dev.\n`);
});

it('npm test with an unknown option names the valid ones', () => {
  const { status, stderr } = run('test.mjs', '--help');
  expect(status).toBe(2);
  expect(stderr).toContain("Unknown option '--help'");
  expect(stderr).toMatch(/Use npm test, or npm test -- .*--quick/);
  expect(stderr).not.toMatch(/^\s+at /m);
});
