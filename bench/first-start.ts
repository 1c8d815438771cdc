/**
 * First visit: the time from a cold start of the built page (empty profile) to the first token of the built-in model,
 * the CPU time of all browser processes until then, and the tokens per second. The same run measures llama.cpp (wasm, on
 * its own page) with the same file.
 *
 *   npm run -s build && npx tsx bench/first-start.ts [--rounds 3] [--compute auto|gpu|cpu] [--beside FOLDER]
 *
 * `--beside` names another build of the page, which is measured in turns with this one. `--compute` is the page's setting. `auto` is the first visit of a user. llama.cpp runs on one thread.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Page } from 'playwright';
import { withProfile } from '../scripts/cli/profile.ts';
import { serve } from '../scripts/cli/server.ts';
import { openBench, withSources } from './bench-page.ts';
import { browserCpuSeconds } from './browser-cpu.ts';
import type { BenchPage, FirstStart } from './first-start-page.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    compute: { type: 'string', default: 'auto' },
    beside: { type: 'string' },
  },
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
      noteFirstToken();
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

/** One measured visit. */
interface Visit extends FirstStart {
  /** From the start of the navigation to the first token. */
  cpuSeconds: number;
}

/** Opens a page, which calls `noteFirstToken`, and measures the CPU time until then. */
async function measuringCpu(page: Page, visit: () => Promise<FirstStart>): Promise<Visit> {
  let note = (_seconds: number): void => {};
  const noted = new Promise<number>((resolve) => {
    note = resolve;
  });
  await page.exposeBinding('noteFirstToken', () => note(browserCpuSeconds()));
  const before = browserCpuSeconds();
  const start = await visit();
  return { ...start, cpuSeconds: (await noted) - before };
}

/** Measures a first visit in a new browser. */
const mixtab = (origin: string): Promise<Visit> =>
  withProfile(undefined, async (page) => {
    page.on('pageerror', (error) => console.error(error.message));
    if (values.compute !== 'auto') {
      await page.goto(`${origin}/icon.svg`);
      await page.evaluate(STORE_COMPUTE);
    }
    await page.addInitScript(CLICK_OPENING);
    return measuringCpu(page, async () => {
      await page.goto(`${origin}/`);
      await page.waitForFunction(() => 'firstTokenMs' in globalThis, undefined, { timeout: 120_000 });
      const firstTokenMs = await page.evaluate(() => (globalThis as unknown as { firstTokenMs: number }).firstTokenMs);
      const figures = await page.getByText(/[\d.]+ tokens\/s/).innerText({ timeout: 300_000 });
      return { firstTokenMs, tokensPerSecond: Number(/([\d.]+) tokens\/s/.exec(figures)?.[1]) };
    });
  });

const llamaCpp = (origin: string): Promise<Visit> =>
  withProfile(undefined, (page) =>
    measuringCpu(page, async () => (await openBench<BenchPage>(page, origin, 'first-start'))('firstStart')),
  );

const built = await serve(join(ROOT, 'dist'), {});
const beside = values.beside === undefined ? undefined : await serve(values.beside, {});
const others: Visit[] = [];
const ours: Visit[] = [];
const theirs: Visit[] = [];
try {
  await withSources({}, async (origin) => {
    for (let round = 0; round < Number(values.rounds); round++) {
      if (beside) others.push(await mixtab(beside.origin));
      ours.push(await mixtab(built.origin));
      theirs.push(await llamaCpp(origin));
    }
  });
} finally {
  built.close();
  beside?.close();
}
/** Median, and all rounds. */
const column = (figures: number[], digits: number): string =>
  `${median(figures).toFixed(digits)} | ${figures.map((figure) => figure.toFixed(digits)).join(' ')}`;
const row = (name: string, visits: Visit[]): string =>
  `| ${name} | ${column(
    visits.map(({ firstTokenMs }) => firstTokenMs / 1000),
    2,
  )} | ${column(
    visits.map(({ cpuSeconds }) => cpuSeconds),
    2,
  )} | ${column(
    visits.map(({ tokensPerSecond }) => tokensPerSecond),
    1,
  )} |`;
const measures = ['first token, s', 'CPU until then, s', 'tokens/s'];
console.log(`| | ${measures.map((name) => `${name} (median) | all rounds`).join(' | ')} |\n|${'---|'.repeat(7)}`);
console.log(row(`mixtab, cold, compute ${values.compute}`, ours));
if (beside) console.log(row(`mixtab of ${values.beside}`, others));
console.log(row('llama.cpp (wasm), cold', theirs));
for (const [name, visits] of [
  ['mixtab', ours],
  [`mixtab of ${values.beside}`, others],
] as const) {
  if (visits.length === 0) continue;
  const ratio = (of: (visit: Visit) => number): string =>
    column(
      visits.map((visit, round) => of(visit) / of(theirs[round])),
      2,
    );
  console.log(`${name}, time as a share of llama.cpp's: ${ratio(({ firstTokenMs }) => firstTokenMs)}`);
  console.log(`${name}, CPU time as a share of llama.cpp's: ${ratio(({ cpuSeconds }) => cpuSeconds)}`);
}
