/**
 * First visit: the time from a cold start of the built page (empty profile) to the first token of the built-in model,
 * and the tokens per second. The same run measures llama.cpp (wasm, on its own page) with the same file.
 *
 *   npm run -s build && npx tsx bench/first-start.ts [--rounds 3] [--compute auto|gpu|cpu]
 *
 * `--compute` is the page's setting. `auto` is the first visit of a user. llama.cpp runs on one thread.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { withProfile } from '../scripts/cli/profile.ts';
import { serve } from '../scripts/cli/server.ts';
import { openBench, withSources } from './bench-page.ts';
import type { BenchPage, FirstStart } from './first-start-page.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '3' }, compute: { type: 'string', default: 'auto' } },
});
const ROOT = join(import.meta.dirname, '..');
if (!existsSync(join(ROOT, 'dist', 'index.html')))
  throw new Error('There is no built page. Run npm run -s build first.');
const median = (numbers: number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];

/**
 * Runs in the page: clicks the suggested opening as soon as it is enabled and records when the first text appears. It
 * is a string because tsx rewrites functions.
 */
const CLICK_OPENING = `(() => {
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

/** Runs in the page: stores the setting of what computes as the page does, with idb-keyval. */
const STORE_COMPUTE = `new Promise((resolve, reject) => {
  const opening = indexedDB.open('keyval-store');
  opening.onupgradeneeded = () => opening.result.createObjectStore('keyval');
  opening.onerror = () => reject(opening.error);
  opening.onsuccess = () => {
    const writing = opening.result.transaction('keyval', 'readwrite');
    writing.objectStore('keyval').put({ compute: ${JSON.stringify(values.compute)} }, 'settings');
    writing.onerror = () => reject(writing.error);
    writing.oncomplete = () => {
      opening.result.close();
      resolve();
    };
  };
})`;

/** Measures a first visit in a new browser. */
const mixtab = (origin: string): Promise<FirstStart> =>
  withProfile(undefined, async (page) => {
    page.on('pageerror', (error) => console.error(error.message));
    if (values.compute !== 'auto') {
      await page.goto(`${origin}/icon.svg`);
      await page.evaluate(STORE_COMPUTE);
    }
    await page.addInitScript(CLICK_OPENING);
    await page.goto(`${origin}/`);
    await page.waitForFunction(() => 'firstTokenMs' in globalThis, undefined, { timeout: 120_000 });
    const firstTokenMs = await page.evaluate(() => (globalThis as unknown as { firstTokenMs: number }).firstTokenMs);
    const figures = await page.getByText(/[\d.]+ tokens\/s/).innerText({ timeout: 300_000 });
    return { firstTokenMs, tokensPerSecond: Number(/([\d.]+) tokens\/s/.exec(figures)?.[1]) };
  });

const llamaCpp = (origin: string): Promise<FirstStart> =>
  withProfile(undefined, async (page) => (await openBench<BenchPage>(page, origin, 'first-start'))('firstStart'));

const built = await serve(join(ROOT, 'dist'), {});
const ours: FirstStart[] = [];
const theirs: FirstStart[] = [];
try {
  await withSources({}, async (origin) => {
    for (let round = 0; round < Number(values.rounds); round++) {
      ours.push(await mixtab(built.origin));
      theirs.push(await llamaCpp(origin));
    }
  });
} finally {
  built.close();
}
const row = (name: string, starts: FirstStart[]): string =>
  `| ${name} | ${(median(starts.map(({ firstTokenMs }) => firstTokenMs)) / 1000).toFixed(2)} | ` +
  `${starts.map(({ firstTokenMs }) => (firstTokenMs / 1000).toFixed(2)).join(' ')} | ` +
  `${median(starts.map(({ tokensPerSecond }) => tokensPerSecond)).toFixed(1)} | ${starts.map(({ tokensPerSecond }) => tokensPerSecond.toFixed(1)).join(' ')} |`;
console.log('| | first token, s (median) | all rounds | tokens/s (median) | all rounds |\n|---|---|---|---|---|');
console.log(row(`mixtab, cold, compute ${values.compute}`, ours));
console.log(row('llama.cpp (wasm), cold', theirs));
