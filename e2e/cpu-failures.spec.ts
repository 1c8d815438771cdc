/** Failures of the CPU's threads: an error that says what to do, and nothing lost. */
import type { Page } from '@playwright/test';
import { computeWith, expect, openPage, setNumbers, test } from './fixtures.ts';

// A service worker would serve the workers' scripts from its cache, without the changes.
test.use({ serviceWorkers: 'block' });

/** Lets a message end the threads with an error that nothing catches. */
async function makeThreadsBreakable(page: Page): Promise<void> {
  await page.route(/compute\.worker.*\.js$/, async (route) => {
    const response = await route.fetch();
    const script = 'new BroadcastChannel("break").onmessage = () => { throw new Error("out of order"); };';
    await route.fulfill({ response, body: `${script}\n${await response.text()}` });
  });
}

test('if a thread dies, the answer ends with the reason, its text is kept, and one click reloads with less memory', async ({
  page,
  server,
}) => {
  await makeThreadsBreakable(page);
  await openPage(page, server);
  await computeWith(page, 'CPU');
  await setNumbers(page, { Threads: '2', 'Max answer length': '2000' });
  const model = page.getByRole('button', { name: /mixtab storyteller.*CPU/ });
  await expect(model).toHaveAttribute('title', /with 2 threads/);
  await page.getByRole('textbox', { name: 'Your text' }).fill('Once upon a time');
  await page.getByRole('button', { name: 'Continue' }).click();
  const text = page.getByRole('article', { name: 'Text' });
  await expect(text).toContainText(/Once upon a time.{20,}/);
  await page.evaluate(() => new BroadcastChannel('break').postMessage(''));
  const alert = page.getByRole('alert');
  await expect(alert).toContainText(/A worker that computes the model has stopped .*out of order/);
  await expect(alert.getByRole('button', { name: 'Reload model' })).toBeVisible();
  const kept = (await text.innerText()).trim();
  expect(kept.length).toBeGreaterThan('Once upon a time'.length + 20);

  const smaller = alert.getByRole('button', { name: /^Reload with \d+ MB$/ });
  const megabytes = /\d+/.exec(await smaller.innerText())?.[0] ?? '';
  await smaller.click();
  await expect(alert).toHaveCount(0);
  await expect(model).toBeVisible();
  expect((await text.innerText()).trim()).toContain(kept.slice(0, 40));
  await page.getByRole('button', { name: 'Settings' }).click();
  await expect(page.getByRole('spinbutton', { name: 'Main memory (MB)' })).toHaveValue(megabytes);
  await page.getByRole('button', { name: 'Close' }).click();
  await page.getByRole('button', { name: 'Continue' }).click();
  await expect.poll(async () => (await text.innerText()).length).toBeGreaterThan(kept.length + 20);
  await page.getByRole('button', { name: 'Stop' }).click();
});
