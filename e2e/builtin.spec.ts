/** The built-in model and other base models, which continue a text. */
import {
  computeWith,
  expect,
  importFrom,
  offlineTest,
  openPage,
  SLOW_MS,
  setNumbers,
  stopStoryAfter,
  test,
} from './fixtures.ts';

test.use({ builtin: 'real' });

for (const kind of ['CPU', 'GPU'] as const) {
  offlineTest(
    `the built-in model writes at once on the ${kind}, and offline after the first visit`,
    async ({ page, server, context }) => {
      await openPage(page, server);
      await computeWith(page, kind);
      const model = page.getByRole('button', { name: new RegExp(`mixtab storyteller.*${kind}`) });
      await expect(model).toBeVisible();
      await expect(page.getByText(/a base model: it continues what you write/)).toBeVisible();
      const story = page.getByRole('article', { name: 'Text' });
      await stopStoryAfter(page, 60, () => page.getByRole('button', { name: 'Once upon a time' }).click());
      await expect(story).toContainText(/Once upon a time[\s\S]{60}/);
      await expect(page.getByText(/tokens\/s .* stopped/)).toBeVisible();

      await page.evaluate(() => navigator.serviceWorker.ready);
      server.close();
      await context.setOffline(true);
      await page.reload();
      await expect(model).toBeVisible();
      const before = (await story.innerText()).length;
      await expect(page.getByRole('button', { name: 'Continue' })).toBeEnabled();
      await stopStoryAfter(page, 21, () => page.getByRole('button', { name: 'Continue' }).click());
      await expect(page.getByRole('button', { name: 'Continue' })).toBeVisible();
      expect((await story.innerText()).length).toBeGreaterThan(before + 20);

      await page.getByRole('button', { name: 'Edit text' }).click();
      await page.getByRole('textbox', { name: 'The whole text' }).fill('Another beginning');
      await page.getByRole('button', { name: 'Save' }).click();
      await expect(story).toContainText('Another beginning');
    },
  );
}

test('the first visit downloads the built-in model with one request, and a later one does not', async ({
  page,
  server,
}) => {
  const whole: string[] = [];
  page.on('request', (request) => {
    if (request.url().endsWith('/builtin.gguf') && request.headers().range === 'bytes=0-') whole.push(request.url());
  });
  const model = page.getByRole('button', { name: /mixtab storyteller/ });
  await page.goto(`${server.origin}/`);
  await expect(model).toBeVisible();
  expect(whole).toHaveLength(1);
  await expect(page.getByText(/Importing/)).toBeHidden();
  await page.reload();
  await expect(model).toBeVisible();
  expect(whole).toHaveLength(1);
});

test('a model without a chat template is presented and used as a base model', async ({ page, server }) => {
  server.builtin = 'stand-in';
  server.msPerToken = SLOW_MS;
  await openPage(page, server);
  await importFrom(page, `${server.origin}/plain.gguf`);
  await expect(page.getByRole('button', { name: /Tiny Text\s*base model/ })).toBeVisible();
  await expect(page.getByText(/Tiny Text is a base model: it continues what you write/)).toBeVisible();
  // The random text has no natural end, so it runs until it is stopped.
  await setNumbers(page, { 'Max answer length': '4000' });
  await page.getByRole('textbox', { name: 'Your text' }).fill('the first');
  await stopStoryAfter(page, 40, () => page.getByRole('button', { name: 'Continue' }).click());
  await expect(page.getByText(/tokens\/s .* stopped/)).toBeVisible();
});
