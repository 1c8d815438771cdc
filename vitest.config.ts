/** Tests below the browser's page: `node` runs pure logic, `gpu` runs kernels in a real Chromium. */
import { playwright } from '@vitest/browser-playwright';
import { defineConfig } from 'vitest/config';
import { findChromium } from './scripts/chromium.mjs';
import { chromiumFlags } from './scripts/chromium-flags.mjs';

const GPU_TESTS = '**/*.gpu.test.ts';
const FOLDERS = '{src,workers,scripts,e2e,bench}';

export default defineConfig({
  // vite.config.ts builds the page; nothing of it is needed here.
  root: import.meta.dirname,
  test: {
    projects: [
      {
        test: {
          name: 'node',
          environment: 'node',
          include: [`${FOLDERS}/**/*.test.{ts,tsx}`],
          exclude: [GPU_TESTS],
          testTimeout: 30_000,
          // Its package says ES module, its file is none: Node itself would not load it.
          server: { deps: { inline: ['@mlc-ai/web-xgrammar'] } },
        },
      },
      {
        // Found while tests run, a new dependency would reload the page under them.
        optimizeDeps: { include: ['comlink', 'idb-keyval', 'fast-check', 'ajv/dist/2020.js', '@mlc-ai/web-xgrammar'] },
        test: {
          name: 'gpu',
          include: [`${FOLDERS}/${GPU_TESTS}`],
          // The software adapter compiles shaders slowly, and machines with two cores do so slower still.
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // Adapters are shared by all tabs: two files at once would time each other out.
          fileParallelism: false,
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
    ],
  },
});
