/** End-to-end tests in Chromium with WebGPU. Each test serves the built page itself (e2e/fixtures.ts). */
import { defineConfig } from '@playwright/test';
import { findHeadlessChromium } from './scripts/chromium.mjs';
import { chromiumFlags } from './scripts/chromium-flags.mjs';
import { TEST_MS, WAIT_MS } from './scripts/test-limits.mjs';

export default defineConfig({
  testDir: 'e2e',
  // Tests of other browsers are Vitest's (vitest.config.ts).
  testMatch: '*.spec.ts',
  // Most journeys compute on one thread of the CPU. Tests share nothing: each has its server and its browser context.
  workers: 2,
  fullyParallel: true,
  timeout: TEST_MS,
  expect: { timeout: WAIT_MS },
  forbidOnly: !!process.env.CI,
  // A shared machine can stall a test. A test that passes only on retry is reported as flaky.
  retries: process.env.CI ? 1 : 0,
  reporter: 'list',
  use: {
    browserName: 'chromium',
    launchOptions: { executablePath: findHeadlessChromium()?.path, args: chromiumFlags() },
    screenshot: 'only-on-failure',
    // In each new context it would store the whole page first. Journeys that are about it allow it.
    serviceWorkers: 'block',
  },
});
