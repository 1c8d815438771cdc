/** Measuring the GPU: from the settings to a report that can be copied, and stopping on the way. */
import { computeWith, expect, openPage, test } from './fixtures.ts';

test('measures the GPU, stops on request, and copies the report', async ({ page, server, context }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await openPage(page, server);
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('button', { name: 'Measure this GPU' }).click();
  await expect(page.getByRole('dialog')).toHaveCount(0);
  await expect(page.getByRole('heading', { name: 'Measure this GPU' })).toBeVisible();
  await page.getByRole('button', { name: 'Measure', exact: true }).click();

  await expect(page.getByText('only small sizes were measured')).toBeVisible(); // a software adapter
  await page.getByRole('group').filter({ hasText: 'What the GPU can do at most' }).waitFor({ timeout: 120_000 });
  await page.getByRole('button', { name: 'Stop' }).click();
  await expect(page.getByRole('button', { name: 'Measure again' })).toBeVisible({ timeout: 120_000 });
  await expect(page.getByText('The whole engine')).toBeVisible();

  await page.setViewportSize({ width: 390, height: 844 });
  const gpu = page.getByRole('group').filter({ has: page.getByText('The GPU', { exact: true }) });
  await gpu.locator('summary').click();
  const cell = gpu
    .getByRole('row')
    .filter({ has: page.getByRole('rowheader', { name: 'features', exact: true }) })
    .getByRole('cell');
  expect((await cell.boundingBox())!.width).toBeGreaterThan(120); // words, not letters, per line
  const table = gpu.getByRole('region', { name: 'The GPU' });
  expect(await table.evaluate(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)).toBe(0);
  await page.getByRole('button', { name: 'Copy the report' }).click();
  const report = JSON.parse(await page.evaluate(() => navigator.clipboard.readText()));
  expect(report).toMatchObject({ version: 1, correct: true, adapter: { software: true } });
  expect(report.steps.at(-1)).toMatchObject({ id: 'again', status: 'skipped' });
  await page.reload();
  await expect(page.getByRole('heading', { name: 'Measure this GPU' })).toBeVisible();
});

test('stays on the page that a link has named while the built-in model is loaded, and unloads one from the GPU', async ({
  page,
  server,
}) => {
  await page.goto(`${server.origin}/#measure`);
  await expect(page.getByText('mixtab storyteller is imported.')).toBeAttached();
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve))); // what follows the load
  await expect(page.getByRole('heading', { name: 'Measure this GPU' })).toBeVisible();
  expect(new URL(page.url()).hash).toBe('#measure');
  const hint = page.getByText('mixtab storyteller is loaded and takes GPU memory.');
  await expect(hint).toHaveCount(0); // it is on the CPU
  await computeWith(page, 'GPU');
  await expect(hint).toBeVisible();
  await page.getByRole('button', { name: 'unload it' }).click();
  await expect(hint).toHaveCount(0);
  await expect(page.getByRole('button', { name: 'Load mixtab storyteller' })).toBeVisible();
});
