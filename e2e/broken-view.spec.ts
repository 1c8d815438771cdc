/** A view that throws while it is drawn. */
import type { Page } from '@playwright/test';
import { expect, openPage, test } from './fixtures.ts';

/** From now on until the page is reloaded, the composer throws, as a fault of ours would make it. */
const breakComposer = (page: Page): Promise<void> =>
  page.evaluate(() => {
    Object.defineProperty(HTMLTextAreaElement.prototype, 'scrollHeight', {
      get() {
        throw new RangeError('Maximum call stack size exceeded');
      },
    });
  });

test('a view that cannot be drawn says so, the others work, and a reload shows it again', async ({ page, server }) => {
  await openPage(page, server);
  await page.getByRole('button', { name: 'Once upon a time' }).click();
  await expect(page.getByText(/tokens\/s/)).toBeVisible();
  const text = await page.locator('.story .by-model').innerText();
  await breakComposer(page);
  await page.getByRole('link', { name: 'Models' }).click();
  await page.getByRole('button', { name: 'Back to chat' }).click();
  const alert = page.getByRole('alert').filter({ hasText: 'This view cannot be shown.' });
  await expect(alert).toContainText('Your conversations are stored.');
  await page.getByRole('link', { name: 'Models' }).click();
  await expect(page.getByRole('list', { name: 'Stored models' })).toContainText('mixtab storyteller');
  await expect(alert).toBeHidden();
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('combobox', { name: 'Appearance' }).selectOption('Dark');
  await page.getByRole('button', { name: 'Close' }).click();
  await page.getByRole('button', { name: 'Back to chat' }).click();
  await alert.getByRole('button', { name: 'Reload the page' }).click();
  await expect(page.locator('.story .by-model')).toHaveText(text, { useInnerText: true });
  await expect(page.locator('html')).toHaveCSS('color-scheme', 'dark');
});

test('notices that cannot be drawn do not take the page with them', async ({ page, server }) => {
  await openPage(page, server);
  // The notices of all views ask for the vendor.
  await page.evaluate(() => {
    Object.defineProperty(Navigator.prototype, 'vendor', {
      get() {
        throw new TypeError('no vendor');
      },
    });
  });
  await page.getByRole('link', { name: 'Models' }).click();
  await expect(page.getByRole('alert').filter({ hasText: 'This view cannot be shown.' })).toBeVisible();
  await expect(page.getByRole('navigation', { name: 'Conversations' })).toBeVisible();
  await page.getByRole('button', { name: 'Reload the page' }).click();
  await expect(page.getByRole('list', { name: 'Stored models' })).toContainText('mixtab storyteller');
});
