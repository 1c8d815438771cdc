/**
 * Unit and engine tests: `node` runs pure logic in Node, `gpu` runs kernels and the engine in Chromium. `browsers` drives
 * other browsers from Node through the built page.
 */
import { playwright } from '@vitest/browser-playwright';
import { defineConfig } from 'vitest/config';
import { findChromium } from './scripts/chromium.mjs';
import { chromiumFlags } from './scripts/chromium-flags.mjs';

const GPU_TESTS = '**/*.gpu.test.ts';
const BROWSER_TESTS = 'e2e/other-browsers/*.browser.test.ts';
const FOLDERS = '{src,workers,scripts,e2e,bench}';

export default defineConfig({
  // No test needs anything of vite.config.ts, which builds the page.
  root: import.meta.dirname,
  test: {
    projects: [
      {
        test: {
          name: 'node',
          environment: 'node',
          include: [`${FOLDERS}/**/*.test.{ts,tsx}`],
          exclude: [GPU_TESTS, BROWSER_TESTS],
          testTimeout: 30_000,
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
          name: 'gpu',
          include: [`${FOLDERS}/${GPU_TESTS}`],
          // The software adapter compiles shaders slowly, especially on machines with two cores.
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // All tabs share one adapter. Two files at once would exceed their timeouts.
          fileParallelism: false,
          // All files in one page: they share a device, and so the kernels that it has compiled, which take most of the
          // time.
          isolate: false,
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            provider: playwright({
              launchOptions: { executablePath: findChromium()?.path, args: chromiumFlags() },
            }),
            instances: [{ browser: 'chromium' }],
          },
        },
      },
      {
        test: {
          name: 'browsers',
          environment: 'node',
          include: [BROWSER_TESTS],
          // Longer than the journeys wait for a step, whose errors say more.
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // One browser at a time, because they compute on all cores.
          fileParallelism: false,
          // The steps of a journey follow each other.
          sequence: { concurrent: false, shuffle: false },
        },
      },
    ],
  },
});
