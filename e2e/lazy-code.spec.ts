/** Code that the server no longer has, as after an update of the page: one notice with one button. */
import { expect, openPage, openTinyChat, setNumbers, test } from './fixtures.ts';

test('a part of the page that cannot be loaded is said once, and a reload keeps what was typed', async ({
  page,
  server,
}) => {
  // Without the service worker, which has all code of its version.
  await page.route('**/sw.js', (route) => route.fulfill({ status: 404 }));
  await page.route('**/assets/ExpertsView-*.js', (route) =>
    route.fulfill({ status: 200, contentType: 'text/html', body: '<!doctype html><title>mixtab</title>' }),
  );
  await page.setViewportSize({ width: 1000, height: 800 });
  await openPage(page, server);
  await page.getByRole('textbox', { name: 'Your text' }).fill('Not sent yet');
  await page.getByRole('button', { name: 'Experts' }).click();
  const notice = page.getByRole('alert');
  await expect(notice).toHaveCount(1);
  await expect(notice).toContainText('A part of this page could not be loaded');
  await page.unroute('**/assets/ExpertsView-*.js');
  await notice.getByRole('button', { name: 'Reload the page' }).click();
  await expect(page.getByRole('alert')).toHaveCount(0);
  await page.getByRole('button', { name: 'Back to chat' }).click();
  await expect(page.getByRole('textbox', { name: 'Your text' })).toHaveValue('Not sent yet');
});

test('if the code that renders Markdown is gone, answers are plain text, and a reload helps', async ({
  page,
  server,
}) => {
  await page.route('**/sw.js', (route) => route.fulfill({ status: 404 }));
  server.missing = /\/markdown-.*\.js$/;
  await openTinyChat(page, server);
  await setNumbers(page, { 'Max answer length': '5' });
  await page.getByRole('textbox', { name: 'Message' }).fill('Some **words**');
  await page.getByRole('textbox', { name: 'Message' }).press('Enter');
  await expect(page.getByText(/tokens\/s/)).toBeVisible();
  await expect(page.locator('.prose.plain').first()).not.toBeEmpty();
  const notice = page.getByRole('alert');
  await expect(notice).toHaveCount(1);
  await expect(notice).toContainText('A part of this page could not be loaded');
  server.missing = undefined;
  await notice.getByRole('button', { name: 'Reload the page' }).click();
  await page.getByRole('button', { name: 'Some **words**' }).first().click();
  await expect(page.locator('.prose:not(.plain)').first()).not.toBeEmpty();
  await expect(notice).toHaveCount(0);
});
