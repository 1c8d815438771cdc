/** The experts view: live, routing of a text, and the laboratory. */
import type { Page } from '@playwright/test';
import {
  computeWith,
  expect,
  importFrom,
  offlineTest,
  openPage,
  openTinyChat,
  SLOW_MS,
  setModelMemory,
  setNumbers,
  test,
} from './fixtures.ts';

/** The cells of the live grid that the latest token selected, as a text to compare. */
const latestCells = (page: Page): Promise<string> =>
  page
    .locator('.expert-map .cell')
    .evaluateAll((cells) => cells.flatMap((cell, i) => (cell.classList.contains('latest') ? [i] : [])).join());

/** Where each expert of the live grid is, as a text to compare. */
const residence = (page: Page): Promise<string> =>
  page
    .locator('.expert-map .cell')
    .evaluateAll((cells) => cells.map((cell) => cell.getAttribute('class')!.replace(' latest', '')).join());

/** The background colour of each token. */
const colours = (page: Page): Promise<string[]> =>
  page.getByRole('option').evaluateAll((tokens) => tokens.map((token) => getComputedStyle(token).backgroundColor));

async function openExperts(page: Page, tab: 'Live' | 'Routing' | 'Laboratory'): Promise<void> {
  await page.getByRole('link', { name: 'Experts', exact: true }).click();
  await page.getByRole('navigation', { name: 'Experts' }).getByRole('link', { name: tab }).click();
}

/** Continues a text greedily in a new conversation and returns the continuation. */
async function greedyContinuation(page: Page, prompt: string): Promise<string> {
  await page.getByRole('button', { name: 'New conversation' }).first().click();
  await page.getByRole('combobox', { name: 'Sampling preset' }).selectOption('Greedy');
  await page.getByRole('textbox', { name: 'Your text' }).fill(prompt);
  await page.getByRole('button', { name: 'Continue' }).click();
  await expect(page.getByText(/tokens\/s/)).toBeVisible();
  return page.locator('.story .by-model').innerText();
}

test('the panel beside a conversation follows the answer while it streams, as a grid and in words', async ({
  page,
  server,
}) => {
  await page.setViewportSize({ width: 1400, height: 900 });
  server.builtin = 'real';
  server.msPerToken = SLOW_MS;
  await openPage(page, server);
  await setNumbers(page, { 'Max answer length': '2000' });
  await page.getByRole('button', { name: 'Experts' }).click();
  const panel = page.getByRole('complementary', { name: 'Expert activity' });
  await expect(panel.getByText(/^All 48 experts are (on the GPU|in memory)\.$/)).toBeVisible();
  const grid = panel.getByRole('slider', { name: /^Where the experts are/ });
  await expect(grid).toHaveAttribute('aria-valuetext', /^Layer 0, expert 0: (on the GPU|in memory), used 0 times\.$/);
  await expect(grid).toHaveAttribute('aria-valuemax', '48');
  await expect(panel.getByText('nothing computed yet')).toBeVisible();

  await page.getByRole('button', { name: 'Once upon a time' }).click();
  const stop = page.getByRole('button', { name: 'Stop', exact: true });
  await expect(stop).toBeVisible();
  await expect(panel.getByText('selected by the latest token', { exact: true })).toBeVisible();
  const seen = new Set<string>();
  await expect.poll(async () => seen.add(await latestCells(page)).size).toBeGreaterThan(2);
  await expect(stop).toBeVisible();
  for (const cells of seen) if (cells !== '') expect(cells.split(',').length).toBeGreaterThanOrEqual(12);
  await stop.click();
  await expect(page.getByText(/tokens\/s .* stopped/)).toBeVisible();

  await expect(panel.getByText(/^100\.0% of \d+ requested experts were already (on the GPU|in memory)/)).toBeVisible();
  await expect(panel.getByText('nothing: every expert was already in memory')).toBeVisible();
  await expect(panel.getByText(/\d+\.\d s: [GC]PU computing \d+%, waiting for experts 0%, other \d+%/)).toBeVisible();
  await expect(panel.getByText(/MB( on the GPU)?, with room for 48 experts/)).toBeVisible();
  await panel.getByText('By layer').click();
  const rows = panel.getByRole('row');
  await expect(rows).toHaveCount(7);
  for (let layer = 0; layer < 6; layer++)
    await expect(rows.nth(layer + 1)).toHaveText(new RegExp(`^${layer}80?\\d, \\d\\d \\(\\d+%\\)$`));

  // The panel is still open after a reload, and can be closed.
  await page.reload();
  await expect(panel).toBeVisible();
  await panel.getByRole('button', { name: 'Hide experts' }).click();
  await expect(panel).toBeHidden();
  await expect(page.getByRole('button', { name: 'Experts' })).toBeFocused();
  // On a phone there is no room for the panel, so the button opens the experts page.
  await page.setViewportSize({ width: 390, height: 844 });
  await page.getByRole('button', { name: 'Experts' }).click();
  await expect(page.getByRole('heading', { name: 'Experts', level: 1 })).toBeVisible();
  await page.goBack();
  await expect(page.getByRole('article', { name: 'Text' })).toBeVisible();
});

for (const [kind, where] of [
  ['GPU', 'on the GPU'],
  ['CPU', 'in memory'],
] as const) {
  test(`with little memory on the ${kind} the grid shows streaming and bytes read, and a chat is read with its template`, async ({
    page,
    server,
  }) => {
    await page.setViewportSize({ width: 1400, height: 900 });
    await openTinyChat(page, server);
    await computeWith(page, kind);
    await setNumbers(page, { ...(kind === 'GPU' && { 'RAM (MB)': '0' }), 'Max answer length': '4000' });
    await setModelMemory(page, '1');
    const least = /at least (\d+) MB/.exec(await page.getByRole('alert').innerText())?.[1] ?? '';
    await setModelMemory(page, least);
    await expect(page.getByRole('alert')).toBeHidden();
    await page.getByRole('button', { name: 'Experts' }).click();
    await page.getByRole('textbox', { name: 'Message' }).fill('Hello');
    await page.getByRole('textbox', { name: 'Message' }).press('Enter');
    const panel = page.getByRole('complementary', { name: 'Expert activity' });
    await expect(panel.getByText(new RegExp(`^\\d+ of 16 experts are ${where}, \\d+ on disk only\\.$`))).toBeVisible();
    const seen = new Set<string>();
    await expect.poll(async () => seen.add(await residence(page)).size).toBeGreaterThan(2);
    expect([...seen].join()).toMatch(/resident/);
    expect([...seen].join()).toMatch(/store/);
    await expect(
      panel.getByText(/B: [\d.]+ [kM]B for \d+ prompt tokens, [\d.]+ [kM]B for each of \d+ generated tokens/),
    ).toBeVisible();
    await page.getByRole('button', { name: 'Stop', exact: true }).click();
    await expect(page.getByRole('button', { name: 'Send' })).toBeVisible();
    // A chat is read as the model saw it, with the text of its template.
    await openExperts(page, 'Routing');
    await expect(page.getByText(/^About \d+ tokens to read plus the chat template$/)).toBeVisible();
    await page.getByRole('button', { name: 'Read text' }).click();
    await expect(page.getByRole('listbox')).toBeVisible();
    expect((await page.getByRole('option').allTextContents()).join('').replace(/[\s\u200b]/g, '')).toMatch(
      /^·\[INST\]Hello\[\/INST\]./,
    );
  });
}

test('a text is coloured by first choices per layer, and shares are compared with chance', async ({ page, server }) => {
  server.builtin = 'real';
  await openPage(page, server);
  await openExperts(page, 'Routing');
  await expect(page.getByRole('radio', { name: 'No conversation yet' })).toBeDisabled();
  const text = 'The ship left the harbour, and the captain walked along the shore.\nNobody spoke.';
  await page.getByRole('textbox', { name: 'Text to read' }).fill(text);
  await expect(page.getByText(/^\d+ tokens to read$/)).toBeVisible();
  await page.getByRole('button', { name: 'Read text' }).click();
  const list = page.getByRole('listbox', { name: /experts in layer 0$/ });
  await expect(list).toBeVisible();
  const shown = await list.getByRole('option').allTextContents();
  expect(
    shown.join('').replace(/^·/, '').replaceAll('\u200b', '').replaceAll('\u00a0', ' ').replaceAll('↵', '').trim(),
  ).toBe(text);
  const atFirst = await colours(page);
  expect(new Set(atFirst).size).toBeGreaterThan(2);
  expect(new Set(atFirst).size).toBeLessThanOrEqual(8);

  const slider = page.getByRole('slider', { name: 'Layer' });
  await slider.focus();
  for (let i = 0; i < 3; i++) await page.keyboard.press('ArrowRight');
  await expect(page.getByRole('heading', { name: 'Layer 3' })).toBeVisible();
  expect(await colours(page)).not.toEqual(atFirst);
  await page.getByRole('button', { name: 'Show layer 0' }).click();
  expect(await colours(page)).toEqual(atFirst);

  // The expert is also given without colour: by pointer, by keyboard, and as a number at each token.
  await page.getByRole('option', { name: /“ship”: expert \d, then \d/ }).hover();
  await expect(page.locator('.token-description')).toHaveText(/^“ship”: expert \d, then \d$/);
  await page.getByRole('listbox').focus();
  await page.keyboard.press('End');
  await expect(page.locator('.token-description')).toHaveText(/^“\.”: expert \d, then \d$/);
  await expect(page.getByRole('option', { selected: true })).toHaveCount(1);
  await page.getByRole('checkbox', { name: 'Show expert numbers' }).check();
  const numbered = await page
    .getByRole('option')
    .evaluateAll((tokens) =>
      tokens.map((token) => [token.querySelector('sub')?.textContent, getComputedStyle(token).backgroundColor]),
    );
  const byNumber = new Map(numbered as [string, string][]);
  expect(new Set(byNumber.values()).size).toBe(byNumber.size);
  for (const [number, colour] of numbered) expect(byNumber.get(number!)).toBe(colour);

  await expect(
    page.getByText(/what chance would give: 12\.5% for the same first choice, 46\.4% for at least one in common/),
  ).toBeVisible();
  const rows = await page
    .getByRole('region', { name: 'Routing by layer' })
    .getByRole('row')
    .evaluateAll((all) =>
      all
        .slice(1)
        .map((row) => [...row.querySelectorAll('td')].map((cell) => Number.parseFloat(cell.textContent ?? ''))),
    );
  expect(rows).toHaveLength(6);
  for (const [same, common, ...use] of rows) {
    expect(same).toBeGreaterThanOrEqual(0);
    expect(common).toBeGreaterThanOrEqual(same);
    expect(common).toBeLessThanOrEqual(100);
    expect(use).toHaveLength(8);
    expect(Math.abs(use.reduce((sum, share) => sum + share, 0) - 100)).toBeLessThanOrEqual(4); // each share is rounded
  }
});

offlineTest(
  'a conversation can be read offline, and the result survives a visit to another tab of the view',
  async ({ page, server, context }) => {
    server.builtin = 'real';
    await openPage(page, server);
    await setNumbers(page, { 'Max answer length': '12' });
    const continuation = await greedyContinuation(page, 'It was late');
    await page.evaluate(() => navigator.serviceWorker.ready);
    server.close();
    await context.setOffline(true);
    await page.reload(); // the code of the view was not fetched before
    await expect(page.getByRole('button', { name: 'Continue' })).toBeEnabled();
    await openExperts(page, 'Routing');
    await page.getByRole('button', { name: 'Read text' }).click();
    await expect(page.getByRole('listbox')).toBeVisible();
    const shown = (await page.getByRole('option').allTextContents())
      .join('')
      .replaceAll('\u200b', '')
      .replaceAll('\u00a0', ' ')
      .replaceAll('↵', '');
    expect(shown.replace(/\s/g, '')).toBe(`·It was late${continuation}`.replace(/\s/g, ''));
    await page.getByRole('link', { name: 'Live' }).click();
    await page.goBack();
    await expect(page.getByRole('listbox')).toBeVisible();
  },
);

test('in the laboratory top 1 is worse, random is much worse and bans matter, and conversations stay exact', async ({
  page,
  server,
}) => {
  server.builtin = 'real';
  await openPage(page, server);
  await setNumbers(page, { 'Max answer length': '24' });
  const before = await greedyContinuation(page, 'The old house');
  await openExperts(page, 'Laboratory');
  await page.getByRole('combobox', { name: 'Text', exact: true }).selectOption('Own text');
  await page.getByRole('textbox', { name: 'Prompt' }).fill('The old house');
  await page.getByRole('spinbutton', { name: 'Max answer length' }).fill('24');
  await page.getByRole('spinbutton', { name: 'Max answer length' }).blur();

  /** @returns the text and the perplexity of a model */
  const result = async (name: string): Promise<{ text: string; perplexity: number }> => {
    const article = page.getByRole('article', { name, exact: true });
    await expect(article).toBeVisible();
    await expect(page.getByRole('region', { name: 'Run' }).getByRole('progressbar')).toBeHidden();
    const text = await article.locator('.plain').innerText();
    const perplexity = /^Perplexity ([\d.]+)/.exec(await article.locator('.hint').first().innerText())![1];
    return { text: text.replace(/\s+/g, ' ').trim(), perplexity: Number(perplexity) };
  };
  /** Runs one experiment. */
  const measured = async (title: string, name: string): ReturnType<typeof result> => {
    await page.getByRole('button', { name: `Run only: ${title}` }).click();
    return result(name);
  };
  const top1 = await measured('First choice only', 'First choice only');
  const exact = await result('Original model');
  expect(exact.perplexity).toBeGreaterThan(1);
  expect(top1.perplexity).toBeGreaterThan(exact.perplexity);
  const atRandom = await measured('Random experts', 'Random experts, seed 1');
  expect(atRandom.perplexity).toBeGreaterThan(Math.max(top1.perplexity, 2 * exact.perplexity));

  await page.getByRole('combobox', { name: 'Expert', exact: true }).first().selectOption('2 of every layer');
  await page.getByText('Ban experts by layer (6 banned)').click();
  await expect(page.getByRole('button', { name: 'Layer 5, expert 2' })).toHaveAttribute('aria-pressed', 'true');
  const banned = await measured('An expert banned', 'Without expert 2 of every layer');
  expect(banned.perplexity).not.toBe(exact.perplexity);
  for (const expert of [0, 1, 3, 4, 5]) await page.getByRole('button', { name: `Layer 4, expert ${expert}` }).click();
  await page.getByRole('button', { name: 'Layer 4, expert 6' }).click();
  await expect(page.getByRole('alert')).toHaveText(
    'Layer 4 would have 1 of 8 experts left, but a token needs 2. Allow another expert in this layer first.',
  );
  await expect(page.getByRole('button', { name: 'Layer 4, expert 6' })).toHaveAttribute('aria-pressed', 'false');
  await page.keyboard.press('ArrowUp');
  await expect(page.getByRole('button', { name: 'Layer 3, expert 6' })).toBeFocused();
  const others = await measured('An expert banned', 'Without expert 2 of every layer, 5 others');

  // All have the same prompt. The original model's text equals the one in the conversation.
  const words = (text: string): string => text.replace(/\s+/g, ' ').trim();
  expect(exact.text).toBe(words(`The old house${before}`));
  expect(others.text).not.toBe(exact.text);

  await page.getByRole('button', { name: 'Back to chat' }).click();
  expect(await greedyContinuation(page, 'The old house')).toBe(before);
});

test('an answer and an experiment exclude each other, and either can be stopped', async ({ page, server }) => {
  server.msPerToken = SLOW_MS;
  await openPage(page, server);
  await importFrom(page, `${server.origin}/plain.gguf`);
  await expect(page.getByText(/Tiny Text is a base model/)).toBeVisible();
  await setNumbers(page, { 'Max answer length': '4000' });
  await page.getByRole('textbox', { name: 'Your text' }).fill('the first');
  await page.getByRole('button', { name: 'Continue' }).click();
  await expect(page.getByRole('button', { name: 'Stop', exact: true })).toBeVisible();
  await openExperts(page, 'Laboratory');
  await page.goto(`${server.origin}/#experts/laboratory?set=random&length=2000&text=own`);
  const write = page.getByRole('button', { name: 'Run 1 experiment' });
  await expect(write).toBeDisabled();
  await expect(page.getByText('An answer is being generated. You can run this when it is done.').first()).toBeVisible();
  await page.getByRole('button', { name: 'Stop answer' }).first().click();

  await write.click();
  const original = page.getByRole('article', { name: 'Original model' });
  await expect(original.locator('mark, .plain')).toContainText(/Once upon a time.+/);
  await expect(page.getByText(/^\d+ of \d+ tokens$/)).toBeVisible();
  await expect(page.getByRole('button', { name: 'Run only: Random experts' })).toBeDisabled();
  await page.getByRole('button', { name: 'Back to chat' }).click();
  await expect(page.getByText(/The experts view is using the model/)).toBeVisible();
  await expect(page.getByRole('button', { name: 'Continue' })).toBeDisabled();
  await page.getByRole('button', { name: 'Stop experiment' }).click();
  await expect(page.getByRole('button', { name: 'Continue' })).toBeEnabled();
  // What was known before the stop is kept, and is not run again.
  await openExperts(page, 'Laboratory');
  await expect(original.getByText('Stopped.')).toBeVisible();
  await page.getByRole('spinbutton', { name: 'Max answer length' }).fill('0');
  await page.getByRole('spinbutton', { name: 'Max answer length' }).blur();
  await expect(page.getByText(/^1 model: \d+ tokens to read$/)).toBeVisible();
  await page.getByRole('spinbutton', { name: 'Max answer length' }).fill('2000');
  await page.getByRole('spinbutton', { name: 'Max answer length' }).blur();
  await openExperts(page, 'Routing');
  await page.getByRole('radio', { name: 'Custom text' }).check();
  await page.getByRole('textbox', { name: 'Text to read' }).fill('the first men of that day '.repeat(3000));
  await page.getByRole('button', { name: 'Read text' }).click();
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await expect(page.getByRole('button', { name: 'Read text' })).toBeEnabled();
  await expect(page.getByRole('listbox')).toBeHidden();
  // Loading another model ends a running experiment.
  await openExperts(page, 'Laboratory');
  await page.getByRole('combobox', { name: 'Text', exact: true }).selectOption('prose');
  await write.click();
  await expect(page.getByText(/^\d+ of \d+ tokens$/)).toBeVisible();
  await page.getByRole('link', { name: 'Models' }).click();
  await page.getByRole('button', { name: 'Use mixtab storyteller' }).click();
  await expect(page.getByRole('heading', { name: 'Start a story' })).toBeVisible();
  await expect(page.getByRole('alert')).toBeHidden();
});
