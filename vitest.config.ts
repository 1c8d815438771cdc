/**
 * Unit and engine tests: `node` runs pure logic in Node, `gpu` runs kernels and the engine in Chromium. `browsers` drives
 * other browsers from Node through the built page.
 */
import { playwright } from '@vitest/browser-playwright';
import { defineConfig } from 'vitest/config';
import { findHeadlessChromium } from './scripts/chromium.mjs';
import { chromiumFlags } from './scripts/chromium-flags.mjs';
import { TEST_MS, WAIT_MS } from './scripts/test-limits.mjs';

const GPU_TESTS = '**/*.gpu.test.ts';
const BROWSER_TESTS = 'e2e/other-browsers/*.browser.test.ts';
const FOLDERS = '{src,workers,scripts,e2e,bench}';

/** Of every project. */
const LIMITS = {
  // As for journeys: a test that passes only on retry is reported as flaky.
  retry: process.env.CI ? 1 : 0,
  setupFiles: ['scripts/test-setup.ts'],
  testTimeout: TEST_MS,
  hookTimeout: TEST_MS,
  expect: { poll: { timeout: WAIT_MS } },
};

export default defineConfig({
  // No test needs anything of vite.config.ts, which builds the page.
  root: import.meta.dirname,
  test: {
    projects: [
      {
        test: {
          ...LIMITS,
          name: 'node',
          environment: 'node',
          include: [`${FOLDERS}/**/*.test.{ts,tsx}`],
          exclude: [GPU_TESTS, BROWSER_TESTS],
          // Not threads: a test measures processor time, which is that of all threads of a process.
          pool: 'forks',
          // By default one core would be left to the main process, which has little to do.
          maxWorkers: '100%',
          // The package claims to be an ES module, but its file is not, so Node cannot load it.
          server: { deps: { inline: ['@mlc-ai/web-xgrammar'] } },
        },
      },
      {
        // A dependency that is discovered during a test would reload the page.
        optimizeDeps: {
          include: [
            'comlink',
            'idb-keyval',
            'fast-check',
            'ajv/dist/2020.js',
            'hash-wasm',
            '@mlc-ai/web-xgrammar',
            'preact',
            'preact/hooks',
            'preact/jsx-dev-runtime',
            '@preact/signals',
            'marked',
            'dompurify',
          ],
        },
        test: {
          ...LIMITS,
          name: 'gpu',
          include: [`${FOLDERS}/${GPU_TESTS}`],
          // All tabs share one adapter, so two files at once would take as long.
          fileParallelism: false,
          // All files in one page: they share a device, and so the kernels that it has compiled, which take most of the
          // time.
          isolate: false,
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            provider: playwright({
              launchOptions: { executablePath: findHeadlessChromium()?.path, args: chromiumFlags() },
            }),
            instances: [{ browser: 'chromium' }],
          },
        },
      },
      {
        test: {
          ...LIMITS,
          name: 'browsers',
          environment: 'node',
          include: [BROWSER_TESTS],
          // One browser at a time, because they compute on all cores.
          fileParallelism: false,
          // The steps of a journey follow each other.
          sequence: { concurrent: false, shuffle: false },
        },
      },
    ],
  },
});
