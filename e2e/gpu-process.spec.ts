/** The browser's GPU process ends in an answer, once and again, and it has to stay small while models are loaded. */
import { readFileSync } from 'node:fs';
import { type CDPSession, chromium, type Locator, type Page } from '@playwright/test';
import { findChromium } from '../scripts/chromium.mjs';
import { chromiumFlags } from '../scripts/chromium-flags.mjs';
import {
  computeOnGpu,
  computeWith,
  expect,
  importFrom,
  openLibrary,
  openTinyChat,
  setNumbers,
  test,
} from './fixtures.ts';

/** Runs a journey in a browser of its own, because all pages of a browser share its GPU process. */
async function inBrowser(flags: string[], journey: (page: Page, browser: CDPSession) => Promise<void>): Promise<void> {
  const browser = await chromium.launch({
    executablePath: findChromium()?.path,
    args: [...chromiumFlags(), ...flags],
  });
  try {
    await journey(await browser.newPage(), await browser.newBrowserCDPSession());
  } finally {
    await browser.close();
  }
}

/** It ends before it can reply. */
const killGpuProcess = (browser: CDPSession): Promise<unknown> =>
  browser.send('Browser.crashGpuProcess').catch(() => {});

const answer = (page: Page): Locator =>
  page.getByRole('list', { name: 'Conversation' }).locator('> li').last().locator('.prose');
const lengthOf = async (page: Page): Promise<number> => ((await answer(page).textContent()) ?? '').length;

/** Waits until the answer has grown. */
async function growth(page: Page): Promise<void> {
  const before = await lengthOf(page);
  await expect.poll(() => lengthOf(page)).toBeGreaterThan(before + 10);
}

/** Asks, and waits until the answer has begun. */
async function ask(page: Page): Promise<void> {
  await page.getByRole('textbox', { name: 'Message' }).fill('Hello');
  await page.getByRole('textbox', { name: 'Message' }).press('Enter');
  await expect(answer(page)).not.toBeEmpty();
}

test('an answer whose GPU process is killed twice continues with the same tokens', async ({ server }) => {
  // Without this flag, Chromium offers no GPU for two minutes after the second end.
  await inBrowser(['--disable-domain-blocking-for-3d-apis'], async (page, browser) => {
    server.msPerToken = 30;
    await openTinyChat(page, server);
    await computeOnGpu(page);
    await setNumbers(page, { 'Max answer length': '120', Temperature: '1', Seed: '7' });
    await ask(page);
    await expect(page.getByText(/120 tokens/)).toBeVisible();
    const expected = await answer(page).textContent();

    await page.getByRole('button', { name: 'Regenerate' }).click();
    await expect.poll(() => lengthOf(page)).toBeLessThan(expected!.length / 3);
    for (let kill = 0; kill < 2; kill++) {
      await growth(page);
      expect(await lengthOf(page)).toBeLessThan(expected!.length);
      await killGpuProcess(browser);
    }
    await expect(page.getByText(/120 tokens/)).toBeVisible();
    expect(await answer(page).textContent()).toBe(expected);
    await expect(page.getByRole('alert')).toHaveCount(0);
  });
});

test('if the browser offers no GPU after a second end, the page waits, offers a button, and works', async ({
  server,
}) => {
  await inBrowser([], async (page, browser) => {
    server.msPerToken = 30;
    await openTinyChat(page, server);
    await computeOnGpu(page);
    await setNumbers(page, { 'Max answer length': '120', Temperature: '1', Seed: '7' });
    await ask(page);
    await killGpuProcess(browser);
    await growth(page);
    const written = await answer(page).textContent();
    await killGpuProcess(browser);
    await expect(page.getByText(/does not offer it yet. Trying again for two minutes/)).toBeVisible();
    await page.getByRole('button', { name: 'Stop', exact: true }).click();
    const alert = page.getByRole('alert');
    await expect(alert).toContainText('The browser took the GPU away');
    expect(await answer(page).textContent()).toContain(written!.trim());
    await alert.getByRole('button', { name: 'Reload model' }).click();
    await expect(alert.getByRole('button', { name: /^(Reload model|Use the CPU)$/ }).first()).toBeVisible();
    await computeWith(page, 'CPU');
    server.msPerToken = 0;
    await page.getByRole('button', { name: 'Continue', exact: true }).click();
    await expect(page.getByText(/\d+ tokens ·/)).toBeVisible();
    await expect(alert).toHaveCount(0);
  });
});

/** Main memory of the GPU process in MB, without files. */
async function gpuProcessMegabytes(browser: CDPSession): Promise<number> {
  const { processInfo } = (await browser.send('SystemInfo.getProcessInfo')) as {
    processInfo: { type: string; id: number }[];
  };
  const { id } = processInfo.find(({ type }) => type === 'GPU')!;
  return Number(/^Pss_Anon:\s+(\d+)/m.exec(readFileSync(`/proc/${id}/smaps_rollup`, 'utf8'))![1]) / 1000;
}

test('ten loads leave the GPU process where it was', async ({ server }) => {
  test.skip(process.platform !== 'linux', 'reads the memory of a process from /proc');
  await inBrowser([], async (page, browser) => {
    await openTinyChat(page, server);
    await computeOnGpu(page);
    await importFrom(page, `${server.origin}/plain.gguf`);
    const loadedModel = page.getByRole('banner').getByRole('button', { name: /GPU$/ });
    await expect(loadedModel).toContainText('Tiny Text');
    const measured: number[] = [];
    for (let load = 0; load < 12; load++) {
      const name = load % 2 === 0 ? 'Tiny Chat' : 'Tiny Text';
      await openLibrary(page);
      await page.getByRole('button', { name: `Use ${name}` }).click();
      await expect(loadedModel).toContainText(name);
      measured.push(await gpuProcessMegabytes(browser));
    }
    // A device of its own for each load cost 80 MB per load, and buffers that were not freed at once 95 MB.
    expect(measured[11] - measured[1]).toBeLessThan(60);
  });
});
