/** A stock Firefox without a window, driven over WebDriver BiDi. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ElementHandle, launch, type Page } from 'puppeteer-core';
import type { Firefox } from '../../scripts/other-browsers.mjs';
import type { Tab, TabElement } from './tab.ts';

/** Firefox on Linux has WebGPU behind these preferences, and refuses software drivers without the second. */
const WEBGPU_PREFERENCES = {
  'dom.webgpu.enabled': true,
  'gfx.webgpu.ignore-blocklist': true,
  'gfx.webgpu.force-enabled': true,
  'dom.webgpu.workers.enabled': true,
};

export async function startFirefox({ path, vulkanDriver }: Firefox): Promise<Tab> {
  const home = mkdtempSync(join(tmpdir(), 'mixtab-firefox-'));
  const browser = await launch({
    browser: 'firefox',
    executablePath: path,
    headless: true,
    extraPrefsFirefox: WEBGPU_PREFERENCES,
    defaultViewport: { width: 1280, height: 800 },
    env: {
      ...process.env,
      HOME: home,
      XDG_RUNTIME_DIR: home,
      ...(vulkanDriver ? { VK_DRIVER_FILES: vulkanDriver } : {}),
    },
  });
  const page = await browser.newPage();
  const version = await browser.version();
  return {
    browser: version.replace(/^firefox\//i, 'Firefox '),
    open: async (url) => void (await page.goto(url)),
    reload: async () => void (await page.reload()),
    evaluate: (script, ...args) => page.evaluate(script as never, ...(args as unknown as never[])),
    runScript: async (source) => void (await page.evaluate(source)),
    query: (script, ...args) => query(page, script as never, args),
    screenshot: () => page.screenshot(),
    close: async () => {
      await browser.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

async function query(
  page: Page,
  script: (...args: unknown[]) => Element | null,
  args: unknown[],
): Promise<TabElement | undefined> {
  const handle = (await page.evaluateHandle(script, ...args)).asElement() as ElementHandle<HTMLInputElement> | null;
  if (!handle) return undefined;
  return {
    click: () => handle.click(),
    fill: async (text, leave) => {
      await handle.evaluate((field) => field.select());
      await handle.type(text);
      if (leave) await handle.evaluate((field) => field.blur());
    },
    pressEnter: () => handle.press('Enter'),
    chooseFile: (path) => handle.uploadFile(path),
  };
}
