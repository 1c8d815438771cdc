/** The page, the client library and the command line give the same numbers for the same text and model. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import type { Page } from '@playwright/test';
import type { Mixtab } from '../src/client/mixtab.ts';
import type { ScoreResult } from '../src/contract/engine-api.ts';
import { expect, openPage, test } from './fixtures.ts';

test.use({ builtin: 'real', permissions: ['clipboard-read', 'clipboard-write'] });

/** About 200 tokens of the built-in model. */
const TEXT =
  'The old man sat by the fire and spoke to the boy about the sea. "I cannot," he said, "not tonight." '.repeat(4);

/** Changed routing: with noise, experts 0 and 1 swapped, expert 2 of layer 1 banned. As options, and as a request. */
const CHANGED = {
  options: ['--router-noise', '1.5', '--noise-seed', '3', '--replace-experts', '0=1,1=0', '--ban-experts', '1.2'],
  ablation: {
    noise: { amount: 1.5, seed: 3 },
    replaced: [
      { expert: 0, by: 1 },
      { expert: 1, by: 0 },
    ],
    banned: [{ layer: 1, expert: 2 }],
  },
};

/** The rows of a figure's CSV, by column. */
async function copied(page: Page, figure: RegExp): Promise<Record<string, string>[]> {
  await page.evaluate(() => navigator.clipboard.writeText(''));
  await page.getByRole('button', { name: new RegExp(`^Copy CSV: ${figure.source}`) }).click();
  const text = (): Promise<string> => page.evaluate(() => navigator.clipboard.readText());
  await expect.poll(text).not.toBe('');
  const [header, ...rows] = (await text()).trim().split('\r\n').map(cells);
  return rows.map((row) => Object.fromEntries(row.map((cell, c) => [header[c], cell])));
}

const cells = (line: string): string[] =>
  [...line.matchAll(/("(?:[^"]|"")*"|[^,]*)(?:,|$)/g)]
    .slice(0, -1)
    .map(([, cell]) => (cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell));

test('curve, routing and layers are the same in the page, the client and the command line', async ({
  page,
  server,
}, testInfo) => {
  await openPage(page, server);
  await page.goto(`${server.origin}/#experts/context?text=own`);
  await page.getByRole('textbox', { name: 'Text to read' }).fill(TEXT);
  await expect(page.getByText(/lengths \(16, 32, 64.*tokens to read$/)).toBeVisible();
  await page.getByRole('button', { name: 'Measure' }).click();
  await expect(page.getByText(/^From 16 to \d+ tokens of context, perplexity changes from/)).toBeVisible();
  await expect(page.getByRole('button', { name: 'Measure' })).toBeEnabled();
  const curve = await copied(page, /Perplexity by context length/);
  await page.getByRole('link', { name: 'Routing' }).click();
  await page.getByRole('textbox', { name: 'Text to read' }).fill(TEXT);
  await page.getByRole('button', { name: 'Read text' }).click();
  await page.getByRole('option').nth(20).click();
  await expect(page.getByRole('heading', { name: /layer by layer: “/ })).toBeVisible();
  const layers = await copied(page, /One token, layer by layer/);
  const shares = await copied(page, /Routing by layer/);
  const shown = await page.getByText(/tokens read by mixtab storyteller/).innerText();

  // The client, in the same windows as the page.
  await page.goto(`${server.origin}/examples/routing.html`);
  await expect(page.getByText('mixtab storyteller is ready.')).toBeVisible();
  const { routing, observed, changed } = await page.evaluate(
    async ([embedUrl, text, ablation]) => {
      const library = '/mixtab-client.js';
      const { createMixtab } = (await import(library)) as typeof import('../src/client/mixtab.ts');
      const mixtab: Mixtab = await createMixtab({ embedUrl });
      const [model] = await mixtab.models.list();
      await mixtab.load({ modelId: model.id, compute: 'cpu' });
      return {
        routing: await mixtab.routing(text, { context: 512 }),
        observed: await mixtab.observe(text, { token: 20, context: 512, top: 1 }),
        changed: await mixtab.routing(text, { context: 64, ablation }),
      };
    },
    [`${server.origin}/embed.html`, TEXT, CHANGED.ablation] as const,
  );
  expect(layers).toHaveLength(observed.layers.length);
  for (const [l, layer] of observed.layers.entries()) {
    const value = (column: string): number => Number(layers[l][column]);
    expect(layer.routerLogits.map((_, expert) => value(`Score of expert ${expert}`))).toEqual(layer.routerLogits);
    expect([value('Choice 1'), value('Choice 2')]).toEqual(layer.selectedExperts);
    expect([value('Weight of choice 1'), value('Weight of choice 2')]).toEqual(layer.weights);
    expect([value('Choice 1 adds'), value('Choice 2 adds')]).toEqual(layer.experts);
    expect(value('Attention adds')).toBe(layer.attention);
    expect([value('Residual before'), value('Residual after')]).toEqual([layer.before, layer.residual]);
    expect(layers[l].Prediction).toBe(layer.top[0].text);
    expect(value('Its probability')).toBe(Math.exp(layer.top[0].logprob));
    expect(value('Probability of the next token')).toBe(Math.exp(layer.next!.logprob));
    expect(value('Its place')).toBe(layer.next!.rank + 1);
    expect(routing.choices[20][l]).toEqual(layer.selectedExperts);
  }
  expect(shown).toContain(`Perplexity: ${routing.perplexity.toFixed(2)}.`);
  for (const [l, { use, sameFirst, sameAny }] of routing.layers.entries()) {
    expect(Object.values(shares[l]).map(Number)).toEqual([l, sameFirst, sameAny, ...use]);
  }
  expectRecount(routing);

  // The command line, in browsers of its own.
  const file = testInfo.outputPath('text.txt');
  writeFileSync(file, TEXT);
  const perplexity = async (context: number, ...more: string[]): Promise<ScoreResult> => {
    const command = ['perplexity', '--model', 'builtin', '--text-file', file, '--context', `${context}`, ...more];
    const options = ['--compute', 'cpu', '--json'];
    const node = ['--import', 'tsx', 'scripts/mixtab.ts', ...command, ...options];
    const { stdout } = await promisify(execFile)(process.execPath, node);
    return JSON.parse(stdout) as ScoreResult;
  };
  for (const context of [16, 64]) {
    const { tokens, nll } = await perplexity(context);
    const point = curve.find((row) => row['Context (tokens)'] === `${context}`)!;
    expect(Number(point['Nats per token'])).toBeCloseTo(nll, 9);
    expect(Number(point['Tokens scored'])).toBe(tokens);
  }
  const whole = await perplexity(512);
  expect(Number(curve.at(-1)!['Nats per token'])).toBeCloseTo(whole.nll, 9);
  expect(routing.nll).toBeCloseTo(whole.nll, 9);
  expect([routing.tokens, routing.paths, routing.layers]).toEqual([whole.tokens, whole.paths, whole.routing]);
  const noisy = await perplexity(64, ...CHANGED.options);
  expect(noisy.nll).toBeCloseTo(changed.nll, 9);
  expect([noisy.tokens, noisy.paths, noisy.routing]).toEqual([changed.tokens, changed.paths, changed.layers]);
  expect(noisy.nll).toBeGreaterThan(whole.nll);
});

/** Counts shares, repeats and paths again from the choices of each token. */
function expectRecount({ choices, layers, paths }: Awaited<ReturnType<Mixtab['routing']>>): void {
  const share = (of: boolean[]): number => of.filter(Boolean).length / of.length;
  for (const [l, { use, sameFirst, sameAny }] of layers.entries()) {
    const all = choices.flatMap((token) => token[l]);
    for (const [expert, used] of use.entries()) expect(used).toBeCloseTo(share(all.map((x) => x === expert)), 12);
    const pairs = choices.slice(1).map((token, before) => [token[l], choices[before][l]]);
    expect(sameFirst).toBeCloseTo(share(pairs.map(([a, b]) => a[0] === b[0])), 12);
    expect(sameAny).toBeCloseTo(share(pairs.map(([a, b]) => a.some((expert) => b.includes(expert)))), 12);
  }
  expect(paths).toBe(new Set(choices.map((token) => token.map((layer) => [...layer].sort().join()).join(' '))).size);
}
