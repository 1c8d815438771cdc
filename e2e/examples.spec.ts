/**
 * Each page of examples/, built beside the app, shows its result. e2e/embed.spec.ts opens chat.html from another
 * origin.
 */
import type { Page } from '@playwright/test';
import { expectNoFindings } from './axe.ts';
import { expect, openPage, type TestServer, test } from './fixtures.ts';

/** Opens an example and waits until the built-in model is loaded. */
async function openExample(page: Page, server: TestServer, name: string): Promise<void> {
  page.on('pageerror', (error) => expect(error).toBeUndefined());
  await page.goto(`${server.origin}/examples/${name}.html`);
  await expect(page.getByText('mixtab storyteller is ready.')).toBeVisible();
}

test('completion.html continues a text', async ({ page, server }) => {
  await openExample(page, server, 'completion');
  await page.getByRole('textbox', { name: 'Beginning' }).fill('The old man');
  await page.getByRole('button', { name: 'Continue' }).click();
  await expect(page.getByText(/^\d+ tokens\.$/)).toBeVisible();
  const text = await page.getByLabel('Text').innerText();
  expect(text.startsWith('The old man')).toBe(true);
  expect(text.length).toBeGreaterThan(60);
  await expectNoFindings(page, 'completion.html');
});

test('completion.html stops', async ({ page, server }) => {
  await openExample(page, server, 'completion');
  // In the page, because the answer may have ended before a click from outside arrives.
  await page.getByRole('button', { name: 'Stop' }).evaluate((stop: HTMLButtonElement) => {
    new MutationObserver(() => stop.click()).observe(stop, { attributes: true, attributeFilter: ['disabled'] });
  });
  await page.getByRole('button', { name: 'Continue' }).click();
  await expect(page.getByText(/^Stopped\.$|^\d+ tokens\.$/)).toBeVisible();
  await expect(page.getByRole('button', { name: 'Continue' })).toBeEnabled();
});

test('json.html shows an answer that fits its schema', async ({ page, server }) => {
  server.builtin = 'real';
  await openExample(page, server, 'json');
  await page.getByRole('button', { name: 'Invent a character' }).click();
  await expect(page.getByText('The answer is valid JSON.')).toBeVisible();
  const answer = JSON.parse(await page.getByRole('region', { name: 'Answer of the model' }).locator('pre').innerText());
  expect(answer).toEqual({
    name: expect.stringMatching(/^[A-Z][a-z]{2,8}$/),
    age: expect.any(Number),
    profession: expect.any(String),
    traits: [expect.any(String), expect.any(String)],
  });
  await expect(page.getByRole('region', { name: 'Parsed' })).toContainText(answer.name);
  await expectNoFindings(page, 'json.html');
});

test('routing.html shows the experts of each token, layer by layer', async ({ page, server }) => {
  await openExample(page, server, 'routing');
  await page.getByRole('textbox', { name: 'Text' }).fill('Once upon a time');
  await page.getByRole('button', { name: 'Show the experts' }).click();
  await expect(page.getByText(/^\d+ tokens\. Perplexity/)).toBeVisible();
  const tokens = page.getByRole('region', { name: 'Tokens and their experts' }).locator('ruby');
  const pieces = await tokens.evaluateAll((all) => all.map(({ firstChild }) => firstChild?.textContent).join(''));
  expect(pieces).toContain('Once upon a time');
  const numbers = (): Promise<string[]> => tokens.locator('rt').allInnerTexts();
  const firstLayer = await numbers();
  for (const pair of firstLayer) expect(pair).toMatch(/^[0-7] [0-7]$/);
  await expect(page.getByRole('listitem')).toHaveCount(8);
  await page.getByRole('combobox', { name: 'Layer' }).selectOption('Layer 1');
  expect(await numbers()).not.toEqual(firstLayer);
  await expectNoFindings(page, 'routing.html');
});

test('layers.html draws each layer of a token with the numbers of the client', async ({ page, server }) => {
  server.builtin = 'real';
  await openExample(page, server, 'layers');
  await page.getByRole('textbox', { name: 'Text' }).fill('Once upon a time');
  await page.getByRole('button', { name: 'Read' }).click();
  await expect(page.getByText('It is the last token.')).toBeVisible();
  const tokens = page.getByRole('region', { name: 'Tokens' }).getByRole('button');
  const first = await tokens.nth(1).innerText();
  const second = await tokens.nth(2).innerText();
  await tokens.nth(1).click();
  await expect(page.getByText(`In the text, “${second}” follows.`)).toBeVisible();
  await expect(page.getByRole('heading', { name: `“${first}”: scores` })).toBeVisible();
  const figure = page.getByRole('img', {
    name: /^Layer 0: experts \d and \d, prediction .*Layer 5: experts \d and \d/,
  });
  await expect(figure).toBeVisible();
  await expect(figure.locator('rect')).toHaveCount(6 * 8);
  await expect(figure.locator('rect.expert')).toHaveCount(6 * 2);
  // The bars of a layer are a softmax: together they are 30 high.
  const heights = await figure
    .locator('rect')
    .evaluateAll((bars) => bars.slice(0, 8).map((bar) => 34 - Number(bar.getAttribute('y'))));
  expect(heights.reduce((sum, height) => sum + height, 0)).toBeCloseTo(30, 6);
  await expectNoFindings(page, 'layers.html');
});

test('an example loads the first model that is complete, not a damaged one before it', async ({ page, server }) => {
  await openPage(page, server);
  await page.evaluate(
    () =>
      new Promise<void>((resolve, reject) => {
        const open = indexedDB.open('mixtab-models');
        open.onerror = () => reject(open.error);
        open.onsuccess = () => {
          const models = open.result.transaction('models', 'readwrite').objectStore('models');
          const request = models.getAll(IDBKeyRange.bound('model/', 'model/\uffff'));
          request.onsuccess = () => {
            const damaged = { ...request.result[0], id: 'damaged', name: 'Damaged', state: 'damaged', importedAt: 0 };
            models.put(damaged, 'model/damaged');
            models.transaction.oncomplete = () => resolve();
          };
        };
      }),
  );
  for (const name of ['completion', 'json', 'routing', 'layers', 'chat']) await openExample(page, server, name);
});
