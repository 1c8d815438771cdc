/** The browser's GPU process ends in an answer, once and again, and it has to stay small while models are loaded. */
import { readFileSync } from 'node:fs';
import { type CDPSession, chromium, type Locator, type Page } from '@playwright/test';
import { findHeadlessChromium } from '../scripts/chromium.mjs';
import { chromiumFlags } from '../scripts/chromium-flags.mjs';
import {
  computeOnGpu,
  computeWith,
  expect,
  importFrom,
  openLibrary,
  openTinyChat,
  setNumbers,
  type TestServer,
  test,
} from './fixtures.ts';

/** Runs a journey in a browser of its own, because all pages of a browser share its GPU process. */
async function inBrowser(flags: string[], journey: (page: Page, browser: CDPSession) => Promise<void>): Promise<void> {
  const browser = await chromium.launch({
    executablePath: findHeadlessChromium()?.path,
    args: [...chromiumFlags(), ...flags],
  });
  try {
    await journey(await browser.newPage({ serviceWorkers: 'block' }), await browser.newBrowserCDPSession());
  } finally {
    await browser.close();
  }
}

/** It ends before it can reply. */
const killGpuProcess = (browser: CDPSession): Promise<unknown> =>
  browser.send('Browser.crashGpuProcess').catch(() => {});

const answer = (page: Page): Locator =>
  page.getByRole('list', { name: 'Conversation' }).locator('> li').last().locator('.prose');

/**
 * Lets the running answer grow to `tokens` tokens, and waits until the engine holds the next one. However slow the test is,
 * the answer cannot end meanwhile.
 */
async function growTo(tokens: number, server: TestServer): Promise<void> {
  server.tokens!.limit = tokens;
  await expect.poll(() => server.tokens!.asked).toBeGreaterThan(tokens);
}

/** Opens a chat on the GPU, whose answers the test lets grow. */
async function openHeldChat(page: Page, server: TestServer): Promise<void> {
  server.tokens = { asked: 0, limit: Number.POSITIVE_INFINITY };
  await openTinyChat(page, server);
  await computeOnGpu(page);
  await setNumbers(page, { 'Max answer length': '120', Temperature: '1', Seed: '7' });
}

async function ask(page: Page): Promise<void> {
  await page.getByRole('textbox', { name: 'Message' }).fill('Hello');
  await page.getByRole('textbox', { name: 'Message' }).press('Enter');
}

test('an answer whose GPU process is killed twice continues with the same tokens', async ({ server }) => {
  // Without this flag, Chromium offers no GPU for two minutes after the second end.
  await inBrowser(['--disable-domain-blocking-for-3d-apis'], async (page, browser) => {
    await openHeldChat(page, server);
    await ask(page);
    await expect(page.getByText(/120 tokens/)).toBeVisible();
    const expected = await answer(page).textContent();

    server.tokens = { asked: 0, limit: 0 };
    await page.getByRole('button', { name: 'Regenerate' }).click();
    for (const tokens of [40, 80]) {
      await growTo(tokens, server);
      expect((await answer(page).textContent())!.length).toBeLessThan(expected!.length);
      await killGpuProcess(browser);
    }
    server.tokens.limit = Number.POSITIVE_INFINITY;
    await expect(page.getByText(/120 tokens/)).toBeVisible();
    expect(await answer(page).textContent()).toBe(expected);
    await expect(page.getByRole('alert')).toHaveCount(0);
  });
});

test('if the browser offers no GPU after a second end, the page waits, offers a button, and works', async ({
  server,
}) => {
  await inBrowser([], async (page, browser) => {
    await openHeldChat(page, server);
    server.tokens = { asked: 0, limit: 0 };
    await ask(page);
    await growTo(20, server);
    await expect(answer(page)).not.toBeEmpty();
    await killGpuProcess(browser);
    await growTo(40, server);
    const written = await answer(page).textContent();
    await killGpuProcess(browser);
    server.tokens.limit = Number.POSITIVE_INFINITY;
    await expect(page.getByText(/does not offer it yet. Trying again for two minutes/)).toBeVisible();
    await page.getByRole('button', { name: 'Stop', exact: true }).click();
    const alert = page.getByRole('alert');
    await expect(alert).toContainText('The browser took the GPU away');
    expect(await answer(page).textContent()).toContain(written!.trim());
    await alert.getByRole('button', { name: 'Reload model' }).click();
    await expect(alert.getByRole('button', { name: /^(Reload model|Use the CPU)$/ }).first()).toBeVisible();
    await computeWith(page, 'CPU');
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
