/** The laboratory of the experts view: the whole set on the built-in model, its numbers, links, a phone. */
import type { Page } from '@playwright/test';
import type { AblationOptions } from '../src/contract/engine-api.ts';
import { PRESETS } from '../src/page/state/generation-settings.ts';
import { expectNoFindings } from './axe.ts';
import { expect, openPage, test } from './fixtures.ts';

/** About 100 tokens of the built-in model. */
const TEXT =
  'The old man sat by the fire and spoke to the boy about the sea. The boy said nothing, but he heard it all. '.repeat(
    2,
  );

const STORY = PRESETS.find(({ name }) => name === 'Story')!;

test.use({ builtin: 'real', permissions: ['clipboard-read', 'clipboard-write'] });

const clipboard = (page: Page): Promise<string> => page.evaluate(() => navigator.clipboard.readText());

/** The figure's rows as CSV, without the columns' names. */
async function csvRows(page: Page): Promise<string[][]> {
  await page.getByRole('button', { name: 'Copy CSV: Perplexity with changed routing' }).click();
  await expect.poll(() => clipboard(page)).toMatch(/^Model,Perplexity,Times the original,/);
  const lines = (await clipboard(page)).trim().split('\r\n').slice(1);
  // Names may have commas and are quoted then.
  return lines.map((line) => {
    const [, quoted, plain, rest] = /^(?:"(.*)"|([^,]*)),(.*)$/.exec(line)!;
    return [quoted ?? plain, ...rest.split(',')];
  });
}

/** What the commands compute for each change: mean negative log-likelihood of the text, and sampled words with seed 1. */
async function commands(
  page: Page,
  origin: string,
  ablations: AblationOptions[],
): Promise<{ nll: number; words: string }[]> {
  await page.goto(`${origin}/cli.html`);
  await page.waitForFunction(() => 'mixtab' in window);
  return page.evaluate(
    async ([text, url, changes, sampling]) => {
      const done = <T>(answer: { result: T } | { error: { message: string } }): T => {
        if ('error' in answer) throw new Error(answer.error.message);
        return answer.result;
      };
      const { id } = done(await window.mixtab.import({ kind: 'builtin', url }));
      done(await window.mixtab.load({ modelId: id, compute: 'cpu', context: 512 }));
      const all: { nll: number; words: string }[] = [];
      for (const ablation of changes) {
        const input = { kind: 'text' as const, text };
        const { nll } = done(await window.mixtab.score({ input, context: 512, ablation }));
        const prompt = { kind: 'text' as const, text: 'Once upon a time' };
        const request = { input: prompt, maxTokens: 5, sampling: { ...sampling, seed: 1 }, ablation };
        all.push({ nll, words: done(await window.mixtab.generate(request)).text });
      }
      return all;
    },
    [TEXT, `${origin}/models/builtin.gguf`, ablations, STORY.sampling] as const,
  );
}

test('the whole set runs in one go, with the numbers of the command line, and a link restores it', async ({
  page,
  server,
}) => {
  await openPage(page, server);
  await page.goto(`${server.origin}/#experts/laboratory?text=own&length=5&preset=Story`);
  await page.getByRole('textbox', { name: 'Text to read' }).fill(TEXT);
  const run = page.getByRole('region', { name: 'Run' });
  const cost = run.getByText(/^8 models: \d+ tokens to read and up to 40 to write$/);
  await expect(cost).toBeVisible();
  const tokens = Number(/(\d+) tokens/.exec(await cost.innerText())![1]) / 8;
  await run.getByRole('button', { name: 'Run 7 experiments' }).click();
  await expect(run.getByText('All results are below. Change something to run more.')).toBeVisible();

  const rows = await csvRows(page);
  expect(rows.map(([name]) => name)).toEqual([
    'Original model',
    'First choice only',
    'Second choice only',
    'Random experts, seed 1',
    'Without expert 0 of every layer',
    'Experts 0 and 1 swapped',
    'Expert 0 for all',
    'Router noise 1, seed 1',
  ]);
  for (const [, perplexity, times, , , nll, scored] of rows) {
    expect(Number(scored)).toBe(tokens);
    expect(Math.exp(Number(nll))).toBeCloseTo(Number(perplexity), 6);
    expect(Number(perplexity) / Number(rows[0][1])).toBeCloseTo(Number(times), 9);
  }
  // Each has its words beside the original model's, and its perplexity where it is ticked.
  const written = page.getByRole('region', { name: 'What the models write' });
  await expect(written.getByRole('article')).toHaveCount(8);
  await expect(written.getByRole('article', { name: 'Original model' })).toContainText(/Once upon a time.+/);
  await expect(page.locator('.lab-result')).toHaveCount(7);
  const bars = page.getByRole('slider', { name: /^Perplexity with changed routing/ });
  await bars.focus();
  await page.keyboard.press('Home');
  await expect(
    page.getByText(`Original model: perplexity ${Number(rows[0][1]).toFixed(2)}.`, { exact: true }),
  ).toBeVisible();
  await expectNoFindings(page, 'laboratory with results');

  // More noise is one more model: the others are known. The bar of less noise stays.
  await page.getByRole('slider', { name: 'Noise' }).fill('3');
  await expect(run.getByText(`1 model: ${tokens} tokens to read and up to 5 to write`)).toBeVisible();
  await page.getByRole('button', { name: 'Run only: A noisy router' }).click();
  await expect(written.getByRole('article')).toHaveCount(9);
  await expect(page.locator('.lab-result')).toHaveCount(7);
  // Two changes in one model.
  const mix = page.getByRole('group', { name: 'Changes to combine' });
  await mix.getByRole('checkbox', { name: 'Random experts' }).check();
  await mix.getByRole('checkbox', { name: 'First choice only' }).check();
  await page.getByRole('button', { name: 'Run only: Several changes at once' }).click();
  await expect(page.getByRole('article', { name: 'First choice only; random experts, seed 1' })).toBeVisible();
  await expect(run.getByText('All results are below. Change something to run more.')).toBeVisible();
  const all = await csvRows(page);
  expect(all.map(([name]) => name).slice(7)).toEqual([
    'Router noise 1, seed 1',
    'Router noise 3, seed 1',
    'First choice only; random experts, seed 1',
  ]);
  const words = await page
    .getByRole('article')
    .evaluateAll((articles) => articles.map((article) => article.querySelector('.plain')!.textContent));
  expect(new Set(words).size).toBeGreaterThan(5);
  await page.getByRole('button', { name: /^Copy image: Perplexity/ }).click();
  await expect(page.locator('.figure-tools').getByText('Image copied.')).toBeVisible();
  await page.setViewportSize({ width: 390, height: 844 });
  expect(await page.getByRole('main').evaluate((main) => main.scrollWidth - main.clientWidth)).toBe(0);
  // Only the view scrolls, not the window too.
  expect(await page.evaluate(() => document.documentElement.scrollHeight - innerHeight)).toBe(0);
  await expectNoFindings(page, 'laboratory with results on a phone');

  // A link restores the controls and the text, in a page without any results.
  await page.getByRole('combobox', { name: 'Text' }).selectOption({ label: 'Own text' });
  await page.getByRole('combobox', { name: 'swapped with' }).selectOption('5');
  await page.getByRole('textbox', { name: 'Prompt' }).fill('It was late');
  await page.getByRole('textbox', { name: 'Prompt' }).blur();
  await page.getByRole('checkbox', { name: 'Random experts' }).first().uncheck();
  await page.getByRole('button', { name: 'Copy link: Perplexity with changed routing' }).click();
  await expect.poll(() => clipboard(page)).toMatch(/#experts\/laboratory\?/);
  const link = await clipboard(page);
  expect(page.url()).not.toContain('late'); // only the link that was asked for has it
  await page.goto('about:blank');
  await page.goto(link);
  await expect(page.getByText('Noise 3', { exact: true })).toBeVisible();
  await expect(page.getByRole('combobox', { name: 'Text' })).toHaveValue('own');
  await expect(page.getByRole('combobox', { name: 'swapped with' })).toHaveValue('5');
  await expect(page.getByRole('textbox', { name: 'Prompt' })).toHaveValue('It was late');
  await expect(page.getByRole('checkbox', { name: 'Random experts' }).first()).not.toBeChecked();
  await expect(page.getByRole('spinbutton', { name: 'Max answer length' })).toHaveValue('5');
  await expect(run.getByRole('button', { name: 'Run 7 experiments' })).toBeVisible();

  // The numbers are those of the command line, computed by another engine without the page.
  const swap = [
    { expert: 0, by: 1 },
    { expert: 1, by: 0 },
  ];
  const expected = await commands(page, server.origin, [
    {},
    { expertsUsed: 1 },
    { choicesSkipped: 1 },
    { randomSeed: 1 },
    { banned: [{ expert: 0 }] },
    { replaced: swap },
    { replaced: [{ by: 0 }] },
    { noise: { amount: 1, seed: 1 } },
    { noise: { amount: 3, seed: 1 } },
    { expertsUsed: 1, randomSeed: 1 },
  ]);
  expect(all.map((row) => Number(row[5]))).toEqual(expected.map(({ nll }) => nll));
  expect(words).toEqual(expected.map((command) => `Once upon a time${command.words}`));
});
