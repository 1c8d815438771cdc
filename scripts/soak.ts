/**
 * Shows that nothing grows: writes 2,000 tokens, and loads one of two models 200 times, which unloads the other one, on
 * the GPU and on the CPU. Linux only.
 *
 *     npm run build && npm run soak [-- --cycles 200] [--tokens 2000] [--compute gpu,cpu]
 *
 * Prints what the processes take, and exits with 1 if something grows: if the median of the last quarter exceeds that of
 * the second quarter by more than ALLOWED.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright';
import { startServer } from '../e2e/server.ts';
import { startBrowser } from './browser-process.ts';
import { ensureChromium } from './chromium.mjs';
import { importFrom, newConversation, openAndLoad, setNumbers } from './kill/kills.ts';
import { readOptions } from './options.mjs';
import { type Figures, MEASURE_FLAG, measure } from './soak/measure.ts';
import { type Allowance, isFlat, trendOf } from './soak/trend.ts';

const MEMORY: Allowance = { share: 0.05, amount: 8 };
/** How much each figure may grow. */
const ALLOWED: Record<keyof Figures, Allowance> = {
  gpuProcess: MEMORY,
  pageProcess: MEMORY,
  browserProcess: MEMORY,
  heap: { share: 0.05, amount: 1 },
  workers: { share: 0, amount: 0 },
  threads: { share: 0, amount: 4 },
  files: { share: 0, amount: 8 },
  nodes: { share: 0.05, amount: 50 },
  listeners: { share: 0.05, amount: 20 },
};
const NAMES = Object.keys(ALLOWED) as (keyof Figures)[];

/** The two models: a chat model, and one that continues texts. */
const MODELS = [
  { name: 'Tiny Chat', heading: 'Ask Tiny Chat', field: 'Message' },
  { name: 'mixtab storyteller', heading: 'Start a story', field: 'Your text' },
] as const;
const TOKENS_PER_ANSWER = 100;
const TOKENS_PER_CYCLE = 10;

type Compute = 'GPU' | 'CPU';

/** Loads a model from the list, and waits until it can be asked. */
async function useModel(page: Page, { name, heading }: (typeof MODELS)[number]): Promise<void> {
  await page.getByRole('link', { name: 'Models' }).click();
  await page.getByRole('button', { name: `Use ${name}` }).click();
  await page.getByRole('heading', { name: heading }).waitFor({ timeout: 120_000 });
}

/** Lets the loaded model write in a new conversation, which is then deleted. @returns the number of tokens */
async function write(page: Page, { field }: (typeof MODELS)[number]): Promise<number> {
  const box = page.getByRole('textbox', { name: field });
  await box.fill('Once upon a time');
  await box.press('Enter');
  const figures = page.getByText(/tokens\/s/);
  await figures.waitFor({ timeout: 300_000 });
  const tokens = Number(/(\d+) tokens/.exec(await figures.innerText())?.[1] ?? 0);
  await page.getByRole('button', { name: 'More options for Once upon a time' }).click();
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  return tokens;
}

function row(label: string, figures: Record<keyof Figures, number>): void {
  console.log(`| ${label} | ${NAMES.map((name) => figures[name].toFixed(name === 'heap' ? 1 : 0)).join(' | ')} |`);
}

/** A series of measurements, printed while it grows: about 20 of them. */
class Series {
  readonly #samples: Figures[] = [];

  constructor(
    private readonly title: string,
    private readonly printEvery: number,
  ) {
    console.log(`\n${title}\n\n| | ${NAMES.join(' | ')} |\n| --- |${' --: |'.repeat(NAMES.length)}`);
  }

  add(figures: Figures): void {
    this.#samples.push(figures);
    if (this.#samples.length % this.printEvery === 0) row(`${this.#samples.length}`, figures);
  }

  /** Prints the trends. @returns what grows */
  end(): string[] {
    const trends = NAMES.map((name) => [name, trendOf(this.#samples.map((sample) => sample[name]))] as const);
    row('second quarter', Object.fromEntries(trends.map(([name, { before }]) => [name, before])) as never);
    row('last quarter', Object.fromEntries(trends.map(([name, { after }]) => [name, after])) as never);
    return trends
      .filter(([name, trend]) => !isFlat(trend, ALLOWED[name]))
      .map(
        ([name, { before, after }]) => `${this.title}: ${name} grows from ${before.toFixed(1)} to ${after.toFixed(1)}`,
      );
  }
}

/** @returns what grows */
async function soak(compute: Compute, cycles: number, tokens: number): Promise<string[]> {
  const server = await startServer();
  const profile = mkdtempSync(join(tmpdir(), 'mixtab-soak-'));
  // A headless shell cannot measure the memory of a page.
  const { browser, context, kill } = await startBrowser(profile, [MEASURE_FLAG], ensureChromium());
  try {
    const page = await context.newPage();
    await openAndLoad(page, server.origin);
    await choose(page, compute);
    await importFrom(page, `${server.origin}/chat.gguf`);
    await page.getByRole('heading', { name: MODELS[0].heading }).waitFor({ timeout: 120_000 });
    const sessions = [await browser.newBrowserCDPSession(), await context.newCDPSession(page)] as const;
    await sessions[1].send('Performance.enable');
    await setNumbers(page, { 'Max answer length': String(TOKENS_PER_ANSWER) });
    const answers = new Series(`${compute}: ${tokens} tokens, after each ${TOKENS_PER_ANSWER}`, 1);
    for (let written = 0; written < tokens; ) {
      written += await write(page, MODELS[0]);
      answers.add(await measure(...sessions, page));
    }
    const grown = answers.end();
    for (const model of MODELS.toReversed()) {
      await newConversation(page);
      await useModel(page, model).catch(() => {});
      await setNumbers(page, { 'Max answer length': String(TOKENS_PER_CYCLE) });
    }
    const loads = new Series(`${compute}: ${cycles} loads`, Math.max(1, Math.ceil(cycles / 20)));
    for (let cycle = 0; cycle < cycles; cycle++) {
      const model = MODELS[(cycle + 1) % 2];
      await useModel(page, model);
      await write(page, model);
      loads.add(await measure(...sessions, page));
    }
    return [...grown, ...loads.end()];
  } finally {
    await kill();
    server.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

async function choose(page: Page, compute: Compute): Promise<void> {
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('radio', { name: compute, exact: true }).check();
  await page.getByRole('button', { name: 'Close' }).click();
}

async function main(): Promise<void> {
  const { values } = readOptions(
    {
      options: {
        cycles: { type: 'string', default: '200' },
        tokens: { type: 'string', default: '2000' },
        compute: { type: 'string', default: 'gpu,cpu' },
      },
    },
    'npm run soak -- with --cycles NUMBER, --tokens NUMBER or --compute gpu,cpu',
  );
  const grown: string[] = [];
  for (const compute of values.compute.split(','))
    grown.push(...(await soak(compute.toUpperCase() as Compute, Number(values.cycles), Number(values.tokens))));
  console.log(grown.length > 0 ? `\n${grown.join('\n')}` : '\nNothing grows.');
  process.exitCode = grown.length > 0 ? 1 : 0;
}

await main();
process.exit();
