/**
 * Who opens the page first: time from a cold start of the built page (empty profile) to the first token of the built-in
 * model, and its tokens a second; beside them llama.cpp (wasm, one page of its own) with the same file, in the same run.
 *
 *   npm run -s build && npx tsx bench/first-meeting.ts [--rounds 3]
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium, type Page } from 'playwright';
import { createServer } from 'vite';
import { ensureChromium } from '../scripts/chromium.mjs';
import { chromiumFlags } from '../scripts/chromium-flags.mjs';
import { serve } from '../scripts/cli/server.ts';

export interface Meeting {
  /** From the start of the navigation. */
  firstTokenMs: number;
  tokensPerSecond: number;
}

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '3' } } });
const ROOT = join(import.meta.dirname, '..');
if (!existsSync(join(ROOT, 'dist', 'index.html'))) throw new Error('There is no built page: npm run -s build');
const median = (numbers: number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];

/** Opens `url` in a browser that has never seen it. */
async function cold<T>(url: string, prepare: (page: Page) => Promise<unknown>, work: (page: Page) => Promise<T>): Promise<T> {
  const profile = mkdtempSync(join(tmpdir(), 'mixtab-first-'));
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: ensureChromium(), args: chromiumFlags(), headless: true, chromiumSandbox: false,
  });
  try {
    const page = await browser.newPage();
    page.on('pageerror', (error) => console.error(error.message));
    await prepare(page);
    await page.goto(url);
    return await work(page);
  } finally {
    await browser.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

/** Runs in the page: clicks the first opening as soon as it can be clicked, and notes when the text has grown. Text, since tsx changes functions. */
const HURRIED_READER = `(() => {
  const opening = 'Once upon a time';
  const look = () => {
    const text = document.querySelector('article[aria-label="Text"]')?.textContent ?? '';
    if (text.trim().length > opening.length) {
      globalThis.firstTokenMs = performance.now();
      return;
    }
    const button = [...document.querySelectorAll('button')].find(({ textContent }) => textContent.includes(opening));
    if (button && !button.disabled) button.click();
    setTimeout(look, 5);
  };
  look();
})()`;

const mixtab = (origin: string): Promise<Meeting> =>
  cold(`${origin}/`, (page) => page.addInitScript(HURRIED_READER), async (page) => {
    await page.waitForFunction(() => 'firstTokenMs' in globalThis, undefined, { timeout: 120_000 });
    const firstTokenMs = await page.evaluate(() => (globalThis as unknown as { firstTokenMs: number }).firstTokenMs);
    const figures = await page.getByText(/[\d.]+ tokens\/s/).innerText({ timeout: 300_000 });
    return { firstTokenMs, tokensPerSecond: Number(/([\d.]+) tokens\/s/.exec(figures)?.[1]) };
  });

const llamaCpp = (origin: string): Promise<Meeting> =>
  cold(`${origin}bench/first-meeting.html`, async () => {}, async (page) => {
    await page.waitForFunction(() => 'meeting' in globalThis);
    return page.evaluate(() => (globalThis as unknown as { meeting: Promise<Meeting> }).meeting);
  });

const built = await serve(join(ROOT, 'dist'), {});
const sources = await createServer({
  configFile: false, root: ROOT, logLevel: 'error', cacheDir: join(tmpdir(), 'mixtab-bench-vite'),
  optimizeDeps: { noDiscovery: true }, server: { port: 5198, strictPort: false, hmr: false, watch: null },
});
await sources.listen();
try {
  const peer = sources.resolvedUrls?.local[0] ?? '';
  const ours: Meeting[] = [];
  const theirs: Meeting[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    ours.push(await mixtab(built.origin));
    theirs.push(await llamaCpp(peer));
  }
  const row = (name: string, meetings: Meeting[]): string =>
    `| ${name} | ${(median(meetings.map(({ firstTokenMs }) => firstTokenMs)) / 1000).toFixed(2)} | ` +
    `${meetings.map(({ firstTokenMs }) => (firstTokenMs / 1000).toFixed(2)).join(' ')} | ` +
    `${median(meetings.map(({ tokensPerSecond }) => tokensPerSecond)).toFixed(1)} | ${meetings.map(({ tokensPerSecond }) => tokensPerSecond.toFixed(1)).join(' ')} |`;
  console.log('| | first token, s (median) | all rounds | tokens/s (median) | all rounds |\n|---|---|---|---|---|');
  console.log(row('mixtab, cold', ours));
  console.log(row('llama.cpp (wasm), cold', theirs));
} finally {
  built.close();
  await sources.close();
}
