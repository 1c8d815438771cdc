/** The paper's figures in the experts view: computed by the built-in model, copied, linked, on a phone. */
import { expectNoFindings } from './axe.ts';
import { expect, openPage, test } from './fixtures.ts';

/** About 200 tokens of the built-in model. */
const TEXT =
  'The old man sat by the fire and spoke to the boy about the sea. The boy said nothing, but he heard it all. '.repeat(
    4,
  );

test.use({ permissions: ['clipboard-read', 'clipboard-write'] });

test('perplexity by context length, kinds of text and counts are drawn, copied and linked', async ({
  page,
  server,
}) => {
  const clipboard = (): Promise<string> => page.evaluate(() => navigator.clipboard.readText());
  await openPage(page, server);
  // The curve of a text of one's own. The cost is said before the start.
  await page.goto(`${server.origin}/#experts/context?text=own`);
  await page.getByRole('textbox', { name: 'Text to read' }).fill(TEXT);
  const cost = page.getByText(/lengths \(16, 32, 64.*tokens to read$/);
  await expect(cost).toBeVisible();
  const [, lengths, tokens] = /^(\d+) lengths .* × (\d+) tokens/.exec(await cost.innerText())!;
  await page.getByRole('button', { name: 'Measure' }).click();
  await expect(page.getByText(/^From 16 to \d+ tokens of context, perplexity changes from/)).toBeVisible();
  await expect(page.getByRole('button', { name: 'Measure' })).toBeEnabled();
  await page.getByRole('button', { name: 'Copy CSV: Perplexity by context length' }).click();
  await expect(page.locator('.figure-tools').getByText('CSV copied.')).toBeVisible();
  const rows = (await clipboard())
    .trim()
    .split('\r\n')
    .map((row) => row.split(','));
  expect(rows[0]).toEqual(['Context (tokens)', 'Perplexity', '95% from', 'to', 'Nats per token', 'Tokens scored']);
  expect(rows).toHaveLength(1 + Number(lengths));
  for (const [, perplexity, low, high, nll, scored] of rows.slice(1)) {
    expect(Number(scored)).toBe(Number(tokens));
    expect(Math.exp(Number(nll))).toBeCloseTo(Number(perplexity), 6);
    expect(Number(low)).toBeLessThan(Number(perplexity));
    expect(Number(high)).toBeGreaterThan(Number(perplexity));
  }
  // Keys move through the figure.
  const curve = page.getByRole('slider', { name: /^Perplexity by context length/ });
  await curve.focus();
  await page.keyboard.press('End');
  await expect(page.getByText(new RegExp(`^${rows.at(-1)![0]} tokens of context: perplexity`))).toBeVisible();
  await expectNoFindings(page, 'context');

  // Kinds of text: one bundled text beside one's own, from a link.
  await page.goto(`${server.origin}/#experts/texts?texts=code+own&layer=2&repeats=any`);
  await expect(page.getByRole('checkbox', { name: 'Code' })).toBeChecked();
  await expect(page.getByRole('checkbox', { name: 'German' })).not.toBeChecked();
  await page.getByRole('button', { name: 'Read texts' }).click();
  await expect(page.getByRole('heading', { name: 'Share of each expert in layer 2' })).toBeVisible();
  await expect(page.getByRole('radio', { name: 'At least one in common' })).toBeChecked();
  await expect(
    page.getByText(/^(The texts use|No clear sign that the texts use) the experts of this layer/),
  ).toBeVisible();
  await page.getByRole('button', { name: /^Copy CSV: Share of each expert/ }).click();
  await expect.poll(clipboard).toMatch(/^Layer,Expert,Text,Share/);
  const shares = (await clipboard())
    .trim()
    .split('\r\n')
    .slice(1)
    .map((row) => row.split(','));
  expect(shares).toHaveLength(6 * 8 * 2);
  const sum = (name: string): number =>
    shares.filter(([layer, , text]) => layer === '2' && text === name).reduce((all, row) => all + Number(row[3]), 0);
  expect(sum('Code')).toBeCloseTo(1, 9);
  expect(sum('Own text')).toBeCloseTo(1, 9);
  await page.getByRole('button', { name: /^Copy image: Repeated choices/ }).click();
  await expect(page.locator('.figure-tools').getByText('Image copied.')).toBeVisible();
  const types = await page.evaluate(async () => (await navigator.clipboard.read()).flatMap(({ types: all }) => all));
  expect(types).toContain('image/png');
  // The link has the choices, and restores them.
  await page.getByRole('slider', { name: 'Layer', exact: true }).press('ArrowRight');
  await page.getByRole('button', { name: /^Copy link: Share of each expert/ }).click();
  await expect.poll(clipboard).toMatch(/#experts\/texts\?texts=code\+own&layer=3&repeats=any$/);
  await expectNoFindings(page, 'texts');

  await page.getByRole('link', { name: 'Counts' }).click();
  await expect(page.getByText(/^The model stores 22\.2 M parameters\. A token uses 8\.0 M of them/)).toBeVisible();
  await expect(page.getByText('2 of 8 experts: 28 pairs')).toBeVisible();
  await page.getByRole('button', { name: 'Count the paths of a text' }).click();
  await expect(page.getByText(/^\d+ different ones, for \d+ tokens of the text read last$/)).toBeVisible();
  await expectNoFindings(page, 'counts');
  // Back at the texts, the result and the choices are still there; also on a phone, without sideways scrolling.
  await page.getByRole('link', { name: 'Texts', exact: true }).click();
  await page.setViewportSize({ width: 390, height: 844 });
  await expect(page.getByRole('heading', { name: 'Share of each expert in layer 3' })).toBeVisible();
  const sideways = (): Promise<number> =>
    page.getByRole('main').evaluate((main) => main.scrollWidth - main.clientWidth);
  expect(await sideways()).toBe(0);
  await expectNoFindings(page, 'texts on a phone');
  for (const tab of ['Live', 'Routing', 'Context', 'Counts', 'Laboratory']) {
    await page.getByRole('navigation', { name: 'Experts' }).getByRole('link', { name: tab }).click();
    expect([tab, await sideways()]).toEqual([tab, 0]);
  }
});
