/** The paper's figures in the experts view: computed by the built-in model, copied, linked, on a phone. */
import type { Page } from '@playwright/test';
import { expectNoFindings } from './axe.ts';
import { expect, importFrom, openPage, test } from './fixtures.ts';

/** About 200 tokens of the built-in model. */
const TEXT =
  'The old man sat by the fire and spoke to the boy about the sea. The boy said nothing, but he heard it all. '.repeat(
    4,
  );

test.use({ builtin: 'real', permissions: ['clipboard-read', 'clipboard-write'] });

/** Width, height and all colours of the image in the clipboard; undefined if there is none. */
const copiedImage = (page: Page): Promise<{ width: number; height: number; colours: string[] } | undefined> =>
  page.evaluate(async () => {
    const item = (await navigator.clipboard.read()).find(({ types }) => types.includes('image/png'));
    if (!item) return undefined;
    const image = await createImageBitmap(await item.getType('image/png'));
    const { width, height } = image;
    const context = new OffscreenCanvas(width, height).getContext('2d')!;
    context.drawImage(image, 0, 0);
    const all = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
    // Most of the millions of pixels are as the one before, and a set is slow.
    const pixels = new Set(all.filter((pixel, i) => pixel !== all[i - 1]));
    const colours = [...pixels].map((abgr) => `rgb(${abgr & 255}, ${(abgr >> 8) & 255}, ${(abgr >> 16) & 255})`);
    return { width, height, colours };
  });

/** Copies each part of a tab as an image, as CSV and as a link. */
async function expectAllCopied(page: Page, address: RegExp, titles: (string | RegExp)[]): Promise<void> {
  const main = page.getByRole('main');
  await expect(main.getByRole('button', { name: /^Copy image/ })).toHaveCount(titles.length);
  for (const title of titles) {
    const copy = async (what: string): Promise<void> => {
      await page.evaluate(() => navigator.clipboard.writeText(''));
      const name = typeof title === 'string' ? `Copy ${what}: ${title}` : new RegExp(`^Copy ${what}: ${title.source}`);
      await main.getByRole('button', { name }).click();
    };
    const text = (): Promise<string> => page.evaluate(() => navigator.clipboard.readText());
    await copy('image');
    await expect.poll(async () => (await copiedImage(page))?.colours.length ?? 0, `${title}`).toBeGreaterThan(4);
    await copy('CSV');
    await expect.poll(text).toMatch(/^[^,\r\n]+,.*\r\n[\s\S]+\r\n$/);
    await copy('link');
    await expect.poll(text).toMatch(address);
  }
}

test('where experts are, a routed text and the laboratory can be copied as images, as CSV and as links', async ({
  page,
  server,
}) => {
  await openPage(page, server);
  await page.goto(`${server.origin}/#experts`);
  await expectAllCopied(page, /#experts$/, ['Where the experts are']);

  await page.goto(`${server.origin}/#experts/routing?source=custom&layer=2`);
  await page.getByRole('textbox', { name: 'Text to read' }).fill(TEXT.repeat(5));
  await page.getByRole('button', { name: 'Read text' }).click();
  await page.getByRole('option').nth(3).click();
  await expect(page.getByRole('heading', { name: /layer by layer: “/ })).toBeVisible();
  const coloured = 'Tokens and their experts in layer 2';
  await expectAllCopied(page, /#experts\/routing\?.*layer=2&token=3$/, [coloured, /One token/, 'Routing by layer']);
  // The image has the whole text, also what the page scrolls to, in the colours of the page.
  await page.getByRole('listbox').evaluate((list) => list.scrollTo(0, 40));
  await page.getByRole('button', { name: `Copy image: ${coloured}` }).click();
  await expect.poll(() => copiedImage(page)).toBeTruthy();
  const { height, colours } = (await copiedImage(page))!;
  const [shown, all] = await page.getByRole('listbox').evaluate((list) => [list.clientHeight, list.scrollHeight]);
  expect(all).toBeGreaterThan(shown);
  expect(height).toBeGreaterThan(2 * all);
  for (const chip of await page.locator('.expert-chips li').all())
    expect(colours).toContain(await chip.evaluate((item) => getComputedStyle(item).backgroundColor));
  expect(await page.getByRole('listbox').evaluate((list) => list.scrollTop)).toBe(40);

  await page.goto(`${server.origin}/#experts/laboratory?text=own&set=first&length=3`);
  await page.getByRole('button', { name: 'Run 1 experiment' }).click();
  await expect(page.getByText('All results are below. Change something to run more.')).toBeVisible();
  await expectAllCopied(page, /#experts\/laboratory\?text=own&set=first&length=3$/, [
    'Perplexity with changed routing',
    'What the models write',
  ]);
});

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
  await expectAllCopied(page, /#experts\/context\?text=own$/, ['Perplexity by context length']);

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
  const parts = [/Share of each expert/, /Repeated choices/, 'Tokens that each expert of layer 2 likes best'];
  await expectAllCopied(page, /#experts\/texts\?texts=code\+own&layer=2&repeats=any$/, parts);
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
  await expectAllCopied(page, /#experts\/counts$/, ['Where the parameters are', /Memory and compute/]);
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
    // The window does not scroll either.
    const over = await page.evaluate(() => {
      const { scrollWidth, scrollHeight } = document.documentElement;
      return [scrollWidth - innerWidth, scrollHeight - innerHeight];
    });
    expect([tab, ...over]).toEqual([tab, 0, 0]);
  }
  // With another model, what the first one computed says so.
  await page.setViewportSize({ width: 1280, height: 800 });
  await importFrom(page, `${server.origin}/chat.gguf`);
  await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
  await page.goto(`${server.origin}/#experts/context`);
  await expect(page.getByText(/, read by mixtab storyteller, which is no longer loaded\./)).toBeVisible();
  await page.getByRole('link', { name: 'Texts', exact: true }).click();
  await expect(page.getByText(/Read by mixtab storyteller, which is no longer loaded\./)).toBeVisible();
});
