/** A headless Chromium whose profile is on disk: without one, its stores would be in memory. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Page } from 'playwright';
import { ensureChromium, findChromium } from '../chromium.mjs';
import { chromiumFlags } from '../chromium-flags.mjs';

/**
 * Opens a page in a browser of its own, and closes the browser after `work`, also where that throws.
 * @param kept folder of a profile to keep; without one a new one is made, and removed at the end
 */
export async function withProfile<T>(kept: string | undefined, work: (page: Page) => Promise<T>): Promise<T> {
  const profile = kept ?? mkdtempSync(join(tmpdir(), 'mixtab-profile-'));
  const cleanUp = (): void => {
    if (!kept) rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
  process.on('exit', cleanUp); // Playwright ends the browser on signals, then the process
  try {
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: findChromium()?.path ?? ensureChromium(),
      args: chromiumFlags(),
      headless: true,
      // Some systems' Chromium is started through a wrapper that Playwright's own sandbox flag does not reach.
      chromiumSandbox: false,
    });
    try {
      return await work(context.pages()[0] ?? (await context.newPage()));
    } finally {
      await context.close();
    }
  } finally {
    process.off('exit', cleanUp);
    cleanUp();
  }
}
