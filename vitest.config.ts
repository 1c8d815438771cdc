/**
 * Unit and engine tests: `node` and `node-isolated` run pure logic in Node, `gpu` runs kernels and the engine in Chromium.
 * `browsers` drives other browsers from Node through the built page.
 */
import { playwright } from '@vitest/browser-playwright';
import { defineConfig } from 'vitest/config';
import { findHeadlessChromium } from './scripts/chromium.mjs';
import { chromiumFlags } from './scripts/chromium-flags.mjs';
import { isolatedTests } from './scripts/isolated-tests.mjs';
import { TEST_MS, WAIT_MS } from './scripts/test-limits.mjs';

const GPU_TESTS = '**/*.gpu.test.ts';
const BROWSER_TESTS = 'e2e/other-browsers/*.browser.test.ts';
const FOLDER_NAMES = ['src', 'workers', 'scripts', 'e2e', 'bench'];
const FOLDERS = `{${FOLDER_NAMES.join(',')}}`;
/** Globs of the files of the node layer that get a process each. */
const ISOLATED = isolatedTests(FOLDER_NAMES);

/** Of every project. */
const LIMITS = {
  // As for journeys: a test that passes only on retry is reported as flaky.
  retry: process.env.CI ? 1 : 0,
  setupFiles: ['scripts/test-setup.ts'],
  testTimeout: TEST_MS,
  hookTimeout: TEST_MS,
  expect: { poll: { timeout: WAIT_MS } },
};

/** Of both projects of the node layer. */
const NODE = {
  ...LIMITS,
  environment: 'node' as const,
  // Not threads: a test measures processor time, which is that of all threads of a process.
  pool: 'forks' as const,
  // By default one core would be left to the main process, which has little to do.
  maxWorkers: '100%',
  // glibc takes large buffers in huge pages. On virtual machines the first use of a page takes long: 320 MB in buffers of
  // 32 MB took 1.9 CPU seconds, and 0.4 to 0.6 with this. Elsewhere it does nothing.
  env: { GLIBC_TUNABLES: process.env.GLIBC_TUNABLES ?? 'glibc.malloc.hugetlb=1' },
  // The package claims to be an ES module, but its file is not, so Node cannot load it.
  server: { deps: { inline: ['@mlc-ai/web-xgrammar'] } },
};

export default defineConfig({
  // No test needs anything of vite.config.ts, which builds the page.
  root: import.meta.dirname,
  test: {
    projects: [
      {
        test: {
          ...NODE,
          name: 'node',
          include: [`${FOLDERS}/**/*.test.{ts,tsx}`],
          exclude: [GPU_TESTS, BROWSER_TESTS, ...ISOLATED],
          // As many processes as there are cores: one for each file would spend most of the time on starting, on loading
          // modules and on compiling them.
          isolate: false,
          setupFiles: [...LIMITS.setupFiles, 'scripts/shared-process-setup.ts'],
        },
      },
      {
        test: {
          ...NODE,
          name: 'node-isolated',
          include: ISOLATED,
          exclude: [GPU_TESTS, BROWSER_TESTS],
          // After the others, because a shared process ends as soon as a file that needs its own is next.
          sequence: { groupOrder: 1 },
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
