/** Opens a headless Chromium with its profile on disk. Without a profile, its storage would be in memory. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Page } from 'playwright';
import { ensureHeadlessChromium, findHeadlessChromium } from '../chromium.mjs';
import { chromiumFlags } from '../chromium-flags.mjs';

/**
 * Opens a page in a new browser and closes the browser after `work`, even if it throws.
 * @param kept folder of a profile to keep; default: a temporary one
 */
export async function withProfile<T>(kept: string | undefined, work: (page: Page) => Promise<T>): Promise<T> {
  const profile = kept ?? mkdtempSync(join(tmpdir(), 'mixtab-profile-'));
  const cleanUp = (): void => {
    if (!kept) rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
  process.on('exit', cleanUp); // on a signal, Playwright ends the browser and then the process
  try {
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: findHeadlessChromium()?.path ?? ensureHeadlessChromium(),
      args: chromiumFlags(),
      headless: true,
      // On some systems a wrapper starts Chromium, and Playwright's sandbox flag does not reach it.
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
