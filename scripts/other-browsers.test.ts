import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ensureOtherBrowsers, findFirefox, findWebKit } from './other-browsers.mjs';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mixtab-path-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function program(name: string): string {
  const path = join(folder, name);
  writeFileSync(path, '');
  chmodSync(path, 0o755);
  return path;
}

it('finds Firefox on the PATH, or where its variable says', () => {
  const esr = program('firefox-esr');
  const other = program('my-firefox');
  expect(findFirefox({ PATH: folder, MIXTAB_GPU: 'hardware' })).toEqual({
    path: esr,
    vulkanDriver: undefined,
    webgpu: true,
  });
  expect(findFirefox({ PATH: folder, MIXTAB_FIREFOX: other })?.path).toBe(other);
});

it('finds WebKit only together with its driver and a display', () => {
  const env = { PATH: folder, MIXTAB_WEBKIT: program('MiniBrowser') };
  expect(findWebKit(env)).toBeUndefined();
  const driver = program('WebKitWebDriver');
  expect(findWebKit(env)).toBeUndefined();
  const display = program('Xvfb');
  expect(findWebKit(env)).toEqual({ browser: env.MIXTAB_WEBKIT, driver, display });
});

it('reports browsers that were left out, which is no failure', () => {
  const said = vi.spyOn(console, 'error').mockImplementation(() => {});
  const env = { PATH: folder, MIXTAB_FIREFOX: 'none', MIXTAB_WEBKIT: 'none' };
  program('firefox-esr');
  expect(ensureOtherBrowsers(env)).toEqual([
    { name: 'Firefox', reason: 'MIXTAB_FIREFOX is none', failed: false },
    { name: 'WebKitGTK', reason: 'MIXTAB_WEBKIT is none', failed: false },
  ]);
  expect(said.mock.calls.join()).toContain('MIXTAB_WEBKIT is none');
});
