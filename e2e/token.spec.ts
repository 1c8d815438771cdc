/** One token, layer by layer: from a text and from an answer, by mouse, touch and keyboard; image, CSV and link. */
import type { Locator, Page } from '@playwright/test';
import { expectNoFindings } from './axe.ts';
import { expect, importFrom, openPage, setNumbers, test } from './fixtures.ts';

test.use({ builtin: 'real', permissions: ['clipboard-read', 'clipboard-write'], hasTouch: true });

const TEXT = 'Once upon a time there was a little ship.';
const region = (page: Page): Locator => page.getByRole('region', { name: 'Token', exact: true });
const layerSlider = (page: Page): Locator => region(page).getByRole('slider', { name: 'Layer of the token' });
const tokenSlider = (page: Page): Locator => region(page).getByRole('slider', { name: 'Token of the text' });
const figure = (page: Page): Locator => region(page).getByRole('slider', { name: /^One token, layer by layer/ });
const expectLayer = (page: Page, layer: number): Promise<void> =>
  expect(region(page).getByText(`In layer ${layer}, the router chooses`)).toBeVisible();
const expectToken = (page: Page, piece: string): Promise<void> =>
  expect(region(page).getByRole('heading', { name: new RegExp(`layer by layer: “.?${piece}”`) })).toBeVisible();

/** Reads a text of one's own in the routing view. */
async function readText(page: Page): Promise<void> {
  await page.goto(`${new URL(page.url()).origin}/#experts/routing`);
  await page.getByRole('textbox', { name: 'Text to read' }).fill(TEXT);
  await page.getByRole('button', { name: 'Read text' }).click();
  await expect(region(page).getByText(/Click a token of the text above/)).toBeVisible();
}

/** The middle of a row of the figure. */
async function rowOf(page: Page, layer: number): Promise<{ x: number; y: number }> {
  await figure(page).scrollIntoViewIfNeeded();
  const box = (await region(page).locator('.layer').nth(layer).boundingBox())!;
  return { x: box.x + box.width / 3, y: box.y + box.height / 2 };
}

/** Drags a finger along a slider, from one share of its width to another. */
async function dragFinger(page: Page, slider: Locator, from: number, to: number): Promise<void> {
  await slider.scrollIntoViewIfNeeded();
  const { x, y, width, height } = (await slider.boundingBox())!;
  const at = (share: number) => [{ x: x + share * width, y: y + height / 2 }];
  const session = await page.context().newCDPSession(page);
  await session.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: at(from) });
  for (const part of [0.25, 0.5, 0.75, 1]) {
    const touchPoints = at(from + part * (to - from));
    await session.send('Input.dispatchTouchEvent', { type: 'touchMove', touchPoints });
  }
  await session.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
}

test('a token is followed through layers and text by mouse, and copied as image, CSV and link', async ({
  page,
  server,
  context,
}) => {
  await openPage(page, server);
  await readText(page);
  const option = page.getByRole('option', { name: /“upon”: expert \d, then \d/ });
  await option.click();
  await expectToken(page, 'upon');
  // Both views name the same experts in every layer.
  const numbers = (text: string | null): string[] => /expert (\d).* (?:then|expert) (\d)/.exec(text ?? '')!.slice(1);
  for (let layer = 0; layer < 6; layer++) {
    await layerSlider(page).fill(String(layer));
    await expect(page.getByRole('heading', { name: `Layer ${layer}` })).toBeVisible();
    const words = await region(page).getByText(`In layer ${layer}, the router chooses`).textContent();
    expect(numbers(words)).toEqual(numbers(await option.getAttribute('aria-label')));
  }
  // A click chooses a layer, and so does a drag with the button down; moving without it does not.
  const [second, fourth] = [await rowOf(page, 1), await rowOf(page, 3)];
  await page.mouse.click(second.x, second.y);
  await expectLayer(page, 1);
  await page.mouse.move(fourth.x, fourth.y);
  await expectLayer(page, 1);
  await page.mouse.move(second.x, second.y);
  await page.mouse.down();
  await page.mouse.move(fourth.x, fourth.y, { steps: 4 });
  await page.mouse.up();
  await expectLayer(page, 3);
  await expect(region(page).getByText(/If the model ended here, it would predict “.*” \(.*%\)/)).toBeVisible();
  await expect(
    region(page).getByRole('list', { name: 'Likeliest next tokens after layer 3' }).getByRole('listitem'),
  ).toHaveCount(5);
  await region(page).getByText('Numbers as a table').click();
  await expect(region(page).getByRole('row')).toHaveCount(7);
  await region(page).getByRole('button', { name: 'Next token' }).click();
  await expectToken(page, 'a');
  await expectLayer(page, 3);
  await expectNoFindings(page, 'a token, layer by layer');

  const clipboard = (): Promise<string> => page.evaluate(() => navigator.clipboard.readText());
  await region(page)
    .getByRole('button', { name: /^Copy CSV: One token/ })
    .click();
  await expect(region(page).getByText('CSV copied.')).toBeVisible();
  const [header, ...rows] = (await clipboard()).trim().split('\r\n');
  expect(header).toMatch(/^Layer,Score of expert 0,.*,Preference for expert 7,Choice 1,Weight of choice 1,/);
  expect(rows).toHaveLength(6);
  for (const row of rows) {
    const shares = row.split(',').slice(9, 17).map(Number);
    expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 9);
  }
  await region(page)
    .getByRole('button', { name: /^Copy image: One token/ })
    .click();
  await expect(region(page).getByText('Image copied.')).toBeVisible();
  expect(
    await page.evaluate(async () => (await navigator.clipboard.read()).flatMap(({ types }) => [...types])),
  ).toContain('image/png');
  // The link has text, layer and token. Another page says what it is for, and shows it after one click.
  await region(page)
    .getByRole('button', { name: /^Copy link: One token/ })
    .click();
  await expect(region(page).getByText('Link copied.')).toBeVisible();
  const link = await clipboard();
  expect(Object.fromEntries(new URLSearchParams(link.split('?')[1]))).toEqual({ custom: TEXT, layer: '3', token: '3' });
  const other = await context.newPage();
  await other.goto(link);
  await expect(other.getByText('Read the text to follow its token 4 through the layers.')).toBeVisible();
  await expect(other.getByRole('textbox', { name: 'Text to read' })).toHaveValue(TEXT);
  await other.getByRole('button', { name: 'Read text' }).click();
  await expectToken(other, 'a');
  await expectLayer(other, 3);
  // Back leads to the view before, and forward to the same token.
  await other.getByRole('link', { name: 'Counts' }).click();
  await other.goBack();
  await expectToken(other, 'a');
  await expectLayer(other, 3);
  // A link to a token or layer that does not exist shows the text all the same.
  const nowhere = new URLSearchParams({ custom: TEXT, layer: '99', token: '99' });
  await other.goto(`${server.origin}/#experts/routing?${nowhere}`);
  await expect(region(other).getByText(/Click a token of the text above/)).toBeVisible();
  await expect(other.getByRole('heading', { name: 'Layer 5' })).toBeVisible();
  await other.goto(`${server.origin}/#experts/routing?layer=x&token=-1&custom=`);
  await expect(other.getByRole('textbox', { name: 'Text to read' })).toHaveValue('');
  await expect(other.getByText('Enter a text of at least two tokens.')).toBeVisible();
});

test('on a phone, a token is followed by touch and by keyboard', async ({ page, server }) => {
  await openPage(page, server);
  await page.setViewportSize({ width: 390, height: 844 });
  await readText(page);
  await page.getByRole('option', { name: /“upon”/ }).tap();
  await expectToken(page, 'upon');
  const third = await rowOf(page, 2);
  await page.touchscreen.tap(third.x, third.y);
  await expectLayer(page, 2);
  await dragFinger(page, layerSlider(page), 0.4, 0.99);
  await expectLayer(page, 5);
  await dragFinger(page, tokenSlider(page), 0.2, 0.01);
  await expectToken(page, '·');
  await expect(region(page).getByRole('button', { name: 'Previous token' })).toBeDisabled();
  await region(page).getByRole('button', { name: 'Next token' }).tap();
  await expectToken(page, 'Once');
  // By keyboard: layers in the figure and with the slider, tokens with the slider and in the text.
  await figure(page).focus();
  await page.keyboard.press('Home');
  await page.keyboard.press('ArrowDown');
  await expectLayer(page, 1);
  await expect(figure(page)).toHaveAttribute('aria-valuetext', /^In layer 1, the router chooses expert \d/);
  await layerSlider(page).focus();
  await page.keyboard.press('End');
  await expectLayer(page, 5);
  await tokenSlider(page).focus();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  await expectToken(page, 'a');
  await page.getByRole('listbox').focus();
  await page.keyboard.press('End');
  await page.keyboard.press('Enter');
  await expectToken(page, '\\.');
  await expect(region(page).getByRole('button', { name: 'Next token' })).toBeDisabled();
  expect(await page.getByRole('main').evaluate((main) => main.scrollWidth - main.clientWidth)).toBe(0);
  await expectNoFindings(page, 'a token on a phone');
});

/** @returns a function that returns what the element showed without `text` since then, even if nobody could see it */
async function watchForLoss(element: Locator, text: string): Promise<() => Promise<string[]>> {
  const watch = await element.evaluateHandle((watched, expected) => {
    const lost: string[] = [];
    const note = (): void => void (watched.textContent?.includes(expected) || lost.push(watched.textContent ?? ''));
    new MutationObserver(note).observe(watched, { childList: true, subtree: true, characterData: true });
    return lost;
  }, text);
  return () => watch.jsonValue();
}

test('a token of an answer leads to its layers, in a chat and in a story', async ({ page, server, context }) => {
  await openPage(page, server);
  await setNumbers(page, { 'Max answer length': '12' });
  await page.getByRole('button', { name: 'Once upon a time' }).click();
  await expect(page.getByText(/tokens\/s/)).toBeVisible();
  const tokens = page.getByRole('listbox', { name: 'Tokens of the answer' });
  const story = page.getByRole('article', { name: 'Text' });
  const lostStory = await watchForLoss(story, 'Once upon a time');
  await page.getByRole('button', { name: 'Show tokens' }).click();
  await expect(tokens.getByRole('option').first()).toBeVisible();
  expect(await lostStory()).toEqual([]);
  await expectNoFindings(page, 'a story as tokens');
  const piece = async (token: Locator): Promise<string> => ((await token.textContent()) ?? '').trim();
  const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const clicked = await piece(tokens.getByRole('option').nth(5));
  await tokens.getByRole('option').nth(5).click();
  await expectToken(page, escaped(clicked));
  expect(page.url()).toMatch(/#experts\/routing\?token=6$/);
  await expect(region(page)).toBeInViewport();
  // Back shows the story, as text again.
  await page.goBack();
  await expect(story).toContainText('Once upon a time');
  await expect(tokens).toBeHidden();

  await page.getByRole('button', { name: 'New conversation' }).first().click();
  await importFrom(page, `${server.origin}/chat.gguf`);
  await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
  await page.getByRole('textbox', { name: 'Message' }).fill('the first');
  await page.getByRole('textbox', { name: 'Message' }).press('Enter');
  await expect(page.getByText(/tokens\/s/)).toBeVisible();
  await page.setViewportSize({ width: 390, height: 844 });
  const answer = page.locator('.message.model');
  const lostAnswer = await watchForLoss(answer, /\w+/.exec((await answer.locator('.prose').textContent())!)![0]);
  await page.getByRole('button', { name: 'Show tokens' }).tap();
  await tokens.focus();
  expect(await lostAnswer()).toEqual([]);
  for (let i = 0; i < 3; i++) await page.keyboard.press('ArrowRight');
  const active = await piece(tokens.getByRole('option', { selected: true }));
  await page.keyboard.press('Enter');
  await expectToken(page, escaped(active));
  const asRead = await page.getByRole('listbox').getByRole('option').allTextContents();
  const token = Number(/token=(\d+)/.exec(page.url())![1]);
  expect(asRead[token].replace(/[\s\u200b]/g, '')).toBe(active);
  // The template's text and the message are before the answer.
  expect(asRead.slice(0, token).join('')).toContain('[/INST]');
  // The link has no text of the conversation. It opens the conversation in another tab of the same browser.
  await region(page)
    .getByRole('button', { name: /^Copy link: One token/ })
    .click();
  await expect(region(page).getByText(/^Link copied\. It works in this browser/)).toBeVisible();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  expect(link).toMatch(/\?conversation=[^&]+&token=\d+$/);
  const other = await context.newPage();
  await other.goto(link);
  await expect(other.getByText(`Read the text to follow its token ${token + 1} through the layers.`)).toBeVisible();
  await expect(other.getByRole('radio', { name: 'This conversation' })).toBeChecked();
  await other.getByRole('button', { name: 'Read text' }).click();
  await expectToken(other, escaped(active));
  await expect(other.getByRole('heading', { name: 'Layer 0' })).toBeVisible();
  await other.goto(link.replace(/conversation=[^&]+/, 'conversation=elsewhere'));
  await expect(other.getByText(/^The conversation of this link is not stored in this browser\./)).toBeVisible();
});
