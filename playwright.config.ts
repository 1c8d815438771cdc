/** Whole journeys in a real Chromium on a WebGPU adapter. Tests serve the built page themselves (e2e/fixtures.ts). */
import { defineConfig } from '@playwright/test';
import { findChromium } from './scripts/chromium.mjs';
import { chromiumFlags } from './scripts/chromium-flags.mjs';

export default defineConfig({
  testDir: 'e2e',
  // One browser at a time: on two cores two software adapters would starve each other.
  workers: 1,
  timeout: 180_000,
  expect: { timeout: 60_000 },
  forbidOnly: !!process.env.CI,
  // On a machine that others share a journey may meet a pause; one that passes only at the second try is named as flaky.
  retries: process.env.CI ? 1 : 0,
  reporter: 'list',
  use: {
    browserName: 'chromium',
    launchOptions: { executablePath: findChromium()?.path, args: chromiumFlags() },
    screenshot: 'only-on-failure',
  },
});
