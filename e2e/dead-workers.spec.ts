/** Workers whose script does not load, and workers that the browser ends. */
import type { Page } from '@playwright/test';
import { computeWith, expect, importFrom, openPage, openTinyChat, SLOW_MS, setNumbers, test } from './fixtures.ts';

/** Without this limit, a page that waits for ever would take the whole time of a test. */
const SOON = { timeout: 30_000 };

/** Ends a worker without any event for the page, as a browser does that is short of memory. */
async function endWorker(page: Page, name: string): Promise<void> {
  for (const worker of page.workers()) {
    if ((await worker.evaluate(() => self.name)) !== name) continue;
    await worker.evaluate(() => self.close());
    return;
  }
  throw new Error(`There is no worker ${name}.`);
}

/**
 * Lets the compute thread beside the engine's own end in the middle of the next answer, without any event. During an
 * answer it handles no messages of a test, so what it waits with counts.
 * @param waits it sleeps at least once per token if the engine does
 */
async function endThreadInAnswer(page: Page, waits: number): Promise<void> {
  const threads = page.workers().filter((worker) => worker.url().includes('/compute.worker-'));
  expect(threads).toHaveLength(1);
  await threads[0].evaluate((count) => {
    const wait = Atomics.wait.bind(Atomics) as (...args: unknown[]) => string;
    let left = count;
    Object.assign(Atomics, {
      wait(...args: unknown[]) {
        if (left-- > 0) return wait(...args);
        self.close();
        self.postMessage = () => {}; // the error would be reported
        throw new Error('ended');
      },
    });
  }, waits);
}

/** Lets a worker wait without end. It gets no more messages. */
function hangWorker(page: Page, name: string): void {
  for (const worker of page.workers()) {
    const hang = (expected: string): void => {
      if (self.name === expected) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    };
    worker.evaluate(hang, name).catch(() => {}); // ended with the worker
  }
}

for (const [name, does, visit] of [
  ['engine', 'computes the model', 'first'],
  ['import', 'imports models', 'first'],
  // On the first visit, the import hands the model to the engine.
  ['reader', 'reads models', 'second'],
] as const) {
  test(`if the script of the ${name} worker is missing, the page says so, and reloading it helps`, async ({
    page,
    server,
  }) => {
    server.missing = new RegExp(`${name}\\.worker-.*\\.js$`);
    await page.goto(`${server.origin}/`);
    if (visit === 'second') {
      await expect(page.getByRole('button', { name: 'Once upon a time' })).toBeEnabled(SOON);
      expect(
        page
          .workers()
          .map((worker) => worker.url())
          .join(),
      ).not.toContain('/reader.worker-');
      await page.reload();
    }
    const alert = page.getByRole('alert').filter({ hasText: `The part of mixtab that ${does} could not be loaded.` });
    await expect(alert).toBeVisible(SOON);
    await expect(page.getByText(/^Loading|^Importing/)).toHaveCount(0, SOON);
    // Not before the reload: a page that finds the script when it tries again needs none.
    await page.route(`${server.origin}/`, (route) => {
      server.missing = undefined;
      return route.continue();
    });
    await alert.getByRole('button', { name: 'Reload the page' }).click();
    await expect(page.getByRole('button', { name: 'Once upon a time' })).toBeEnabled();
    await expect(page.getByRole('alert')).toHaveCount(0);
  });
}

test('if the browser ends the engine in an answer, the text stays and the model is loaded again', async ({
  page,
  server,
}) => {
  server.msPerToken = SLOW_MS;
  await openPage(page, server);
  // The answer, which the reload continues, and another one fit into the model's context of 256 tokens.
  await setNumbers(page, { 'Max answer length': '110' });
  await page.getByRole('button', { name: 'Once upon a time' }).click();
  const story = page.getByRole('article', { name: 'Text' });
  await expect(story).toContainText(/Once upon a time[\s\S]{5}/);
  server.msPerToken = 0; // from the next engine on
  await endWorker(page, 'engine');
  await expect(page.getByRole('alert')).toContainText('The worker that computes the model has stopped.', SOON);
  await expect(page.getByRole('button', { name: /^Stop/ })).toHaveCount(0);
  await expect(story).toContainText(/Once upon a time[\s\S]{5}/);
  await page.getByRole('button', { name: 'Reload model' }).click();
  await page.getByRole('button', { name: 'Continue', exact: true }).click();
  await expect(page.getByText(/tokens ·/)).toBeVisible();
  await expect(page.getByRole('alert')).toHaveCount(0);
});

test('if the browser ends a compute thread in an answer, one click continues it with the same tokens', async ({
  page,
  server,
}) => {
  server.msPerToken = SLOW_MS;
  await openTinyChat(page, server);
  await computeWith(page, 'CPU');
  await setNumbers(page, { Threads: '2', 'Max answer length': '60', Temperature: '1', Seed: '7' });
  await expect(page.getByRole('button', { name: /Tiny Chat.*CPU/ })).toHaveAttribute('title', /with 2 threads/);
  const answer = page.getByRole('list', { name: 'Conversation' }).locator('> li').last().locator('.prose');
  await page.getByRole('textbox', { name: 'Message' }).fill('Hello');
  await page.getByRole('textbox', { name: 'Message' }).press('Enter');
  await expect(page.getByText(/60 tokens/)).toBeVisible();
  const expected = (await answer.innerText()).trim();

  await endThreadInAnswer(page, 40);
  await page.getByRole('button', { name: 'Regenerate' }).click();
  const alert = page.getByRole('alert');
  await expect(alert).toContainText('A worker that computes the model has stopped (the browser has ended it).', SOON);
  await expect(page.getByRole('button', { name: /^Stop/ })).toHaveCount(0);
  const kept = (await answer.innerText()).trim();
  expect(kept.length).toBeLessThan(expected.length);
  expect(expected.startsWith(kept)).toBe(true);
  await alert.getByRole('button', { name: 'Reload model' }).click();
  await expect(page.getByText(/60 tokens/)).toBeVisible();
  expect((await answer.innerText()).trim()).toBe(expected);
  await expect(alert).toHaveCount(0);
});

test('if the engine hangs in an answer, Stop offers a restart, which keeps the text', async ({ page, server }) => {
  server.msPerToken = SLOW_MS;
  await openPage(page, server);
  await page.getByRole('button', { name: 'Once upon a time' }).click();
  const story = page.getByRole('article', { name: 'Text' });
  await expect(story).toContainText(/Once upon a time[\s\S]{5}/);
  server.msPerToken = 0; // from the next engine on
  hangWorker(page, 'engine');
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await expect(page.getByRole('alert')).toContainText('The model has not stopped yet.', SOON);
  const written = await story.innerText();
  await page.getByRole('button', { name: 'Restart the model' }).click();
  await expect(page.getByRole('button', { name: 'Continue', exact: true })).toBeVisible(SOON);
  await expect(page.getByRole('alert')).toHaveCount(0);
  expect(await story.innerText()).toContain(written.trim().slice(0, 20));
  await page.getByRole('button', { name: 'Continue', exact: true }).click();
  await expect(page.getByText(/tokens ·/)).toBeVisible();
});

test('if the browser ends the import worker, the import stops, and it continues when it is started again', async ({
  page,
  server,
}) => {
  await openPage(page, server);
  server.slow = true;
  await importFrom(page, `${server.origin}/chat.gguf`);
  await expect(page.getByText(/Importing .*: /)).toBeVisible();
  await endWorker(page, 'import');
  await expect(page.getByRole('alert')).toContainText('The worker that imports models has stopped.', SOON);
  await expect(page.getByRole('button', { name: 'Pause' })).toHaveCount(0);
  server.slow = false;
  await importFrom(page, `${server.origin}/chat.gguf`);
  await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
});

test('if the browser ends the reader, the next answer uses another one', async ({ page, server }) => {
  await openTinyChat(page, server);
  await page.reload(); // an import hands a small model to the engine, and then nothing is read
  await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
  await setNumbers(page, { 'Max answer length': '5' });
  await endWorker(page, 'reader');
  await page.getByRole('textbox', { name: 'Message' }).fill('Hello');
  await page.getByRole('textbox', { name: 'Message' }).press('Enter');
  await expect(page.getByText(/tokens\/s/)).toBeVisible();
  await page.getByRole('link', { name: 'Models' }).click();
  await page.getByRole('button', { name: 'Use mixtab storyteller' }).click();
  await expect(page.getByRole('heading', { name: 'Start a story' })).toBeVisible();
  await expect(page.getByRole('alert')).toHaveCount(0);
});

test('if the script of the grammar worker is missing, an answer in JSON is an error, and the next one works', async ({
  page,
  server,
}) => {
  server.builtin = 'real';
  server.missing = /grammar\.worker-.*\.js$/;
  await page.goto(`${server.origin}/examples/json.html`);
  await page.getByRole('button', { name: 'Invent a character' }).click();
  await expect(page.getByText('The part of mixtab that checks the format of answers could not be loaded.')).toBeVisible(
    SOON,
  );
  server.missing = undefined;
  await page.getByRole('button', { name: 'Invent a character' }).click();
  await expect(page.getByText('The answer is valid JSON.')).toBeVisible();
});
