/** Two tabs with the page, which share one store and one GPU. */
import { expect, openLibrary, openTinyChat, setNumbers, test } from './fixtures.ts';

test('two tabs both generate, each shows a notice, and a model in use in the other tab is not deleted', async ({
  page,
  server,
  context,
}) => {
  await openTinyChat(page, server);
  const ask = async (tab: typeof page, text: string): Promise<void> => {
    await tab.getByRole('textbox', { name: 'Message' }).fill(text);
    await tab.getByRole('textbox', { name: 'Message' }).press('Enter');
    await expect(tab.getByText(/tokens\/s/)).toBeVisible();
  };
  const conversations = (tab: typeof page) => tab.getByRole('navigation', { name: 'Conversations' });

  const second = await context.newPage();
  await second.goto(`${server.origin}/`);
  await expect(second.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
  for (const tab of [page, second]) await expect(tab.getByText('Another tab also has a model in memory')).toBeVisible();
  await Promise.all([ask(page, 'From the first'), ask(second, 'From the second')]);
  for (const tab of [page, second]) {
    await expect(conversations(tab)).toContainText('From the first');
    await expect(conversations(tab)).toContainText('From the second');
    await expect(tab.getByRole('alert')).toHaveCount(0);
  }

  // Computing settings apply when a model is loaded. The first tab says so, and loads nothing unasked.
  await setNumbers(second, { 'Context length': '1000' });
  const changed = page.getByText('The computing settings were changed in another tab');
  await expect(changed).toBeVisible();
  await page.getByRole('button', { name: 'Reload model' }).click();
  await expect(changed).toBeHidden();

  await openLibrary(second);
  const deleteModel = async (): Promise<void> => {
    await second.getByRole('button', { name: 'Delete Tiny Chat' }).click();
    await second.getByRole('button', { name: 'Delete Tiny Chat' }).click();
  };
  await deleteModel();
  await expect(second.getByRole('alert')).toContainText('Tiny Chat is in use in another tab. Close that tab');
  // Once the first tab uses another model, this one can be deleted, and both lists follow.
  await openLibrary(page);
  await page.getByRole('button', { name: 'Use mixtab storyteller' }).click();
  await expect(page.getByRole('heading', { name: 'Start a story' })).toBeVisible();
  await openLibrary(page);
  await deleteModel();
  await expect(second.getByRole('list', { name: 'Stored models' }).getByRole('listitem')).toHaveCount(1);
  await expect(page.getByRole('list', { name: 'Stored models' }).getByRole('listitem')).toHaveCount(1);

  // A tab that closes says so, so that nobody takes it for one that ran out of memory (page-facts.ts).
  await page.close();
  const closings = (): Promise<string[]> =>
    second.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith('mixtab-closed/')));
  await expect.poll(closings).not.toEqual([]);
  await expect(second.getByText('Another tab also has a model in memory')).toBeHidden();
});
