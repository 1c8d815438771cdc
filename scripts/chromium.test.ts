import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { findChromium, findHeadlessChromium } from './chromium.mjs';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mixtab-browsers-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Puts a program into the folder of downloads. @returns its path */
function install(path: string): string {
  const program = join(folder, path);
  mkdirSync(dirname(program), { recursive: true });
  writeFileSync(program, '');
  chmodSync(program, 0o755);
  return program;
}

const environment = (more: Record<string, string> = {}) => ({
  PLAYWRIGHT_BROWSERS_PATH: folder,
  MIXTAB_GPU: 'software',
  ...more,
});

it('takes the newest headless shell for work without a window, and a whole Chromium otherwise', () => {
  install('chromium_headless_shell-990/chrome-linux/headless_shell');
  const shell = install('chromium_headless_shell-1200/chrome-headless-shell-linux64/chrome-headless-shell');
  install('chromium-999/chrome-linux/chrome');
  const whole = install('chromium-1200/chrome-linux64/chrome');
  expect(findHeadlessChromium(environment())?.path).toBe(shell);
  expect(findChromium(environment())?.path).toBe(whole);
});

it('takes a whole Chromium if there is a GPU, and the one that is named in any case', () => {
  install('chromium_headless_shell-1200/chrome-headless-shell-linux64/chrome-headless-shell');
  const whole = install('chromium-1200/chrome-linux64/chrome');
  expect(findHeadlessChromium(environment({ MIXTAB_GPU: 'hardware' }))?.path).toBe(whole);
  const named = install('my/chromium');
  expect(findHeadlessChromium(environment({ MIXTAB_CHROMIUM: named }))?.path).toBe(named);
});
