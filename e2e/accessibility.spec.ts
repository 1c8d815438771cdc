/** Accessibility: axe on every view, and everything by keyboard. */
import { expectNoFindings } from './axe.ts';
import { expect, importFrom, openPage, stopStoryAfter, test } from './fixtures.ts';

const CHAT = {
  format: 'mixtab-conversations',
  version: 1,
  conversations: [
    {
      id: 'x',
      title: 'Heaps',
      kind: 'chat',
      createdAt: 1,
      changedAt: 1,
      writing: { systemPrompt: 'Be brief.' },
      chosen: {},
      turns: [
        { id: '1', parent: null, by: 'user', text: 'What is a heap?', at: 1 },
        { id: '2', parent: '1', by: 'model', text: 'Older', at: 1 },
        {
          id: '3',
          parent: '1',
          by: 'model',
          text: 'See:\n\n```python\nimport heapq # a comment\nx = heapq.heappop([1.5, "a"])\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n> quoted `code` [link](https://example.org)',
          at: 1,
        },
      ],
    },
  ],
};

test('axe finds no problem on any view', async ({ page, server }) => {
  await openPage(page, server);
  await expectNoFindings(page, 'welcome');
  await page
    .getByLabel('Conversations to import')
    .setInputFiles({ name: 'c.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(CHAT)) });
  await expect(page.locator('.hljs-keyword').first()).toBeVisible();
  await expectNoFindings(page, 'chat');
  await page.getByRole('button', { name: 'More options for Heaps' }).click();
  await expectNoFindings(page, 'menu');
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  await expectNoFindings(page, 'deleted');
  // After a first token: an answer that is stopped before it leaves nothing on the page.
  await stopStoryAfter(page, 1, () => page.getByRole('button', { name: 'Once upon a time' }).click());
  await expect(page.getByRole('article', { name: 'Text' })).toContainText(/Once upon a time.+/);
  await expect(page.getByRole('button', { name: 'Continue' })).toBeEnabled();
  await page.getByText(/tokens\/s/).click();
  await expect(page.getByText(/prompt tokens reused/)).toBeVisible();
  await expectNoFindings(page, 'story');
  await page.getByRole('button', { name: 'Experts' }).click();
  await expect(page.getByRole('complementary', { name: 'Expert activity' })).toContainText('All 16 experts');
  await expectNoFindings(page, 'experts beside a story');
  await page.getByRole('link', { name: 'routing of a text' }).click();
  await page.getByRole('button', { name: 'Read text' }).click();
  await page.getByRole('listbox').focus();
  await page.getByRole('checkbox', { name: 'Show expert numbers' }).check();
  await expectNoFindings(page, 'routing');
  await page.getByRole('link', { name: 'Laboratory' }).click();
  await page.getByText('Ban experts by layer').click();
  await page.getByRole('button', { name: 'Expert 2 in every layer' }).click();
  await expectNoFindings(page, 'laboratory');
  await page.getByRole('button', { name: 'Settings' }).click();
  for (const choice of ['GPU', 'CPU', 'Automatic']) {
    await page.getByRole('radio', { name: choice, exact: true }).check();
    await expectNoFindings(page, `settings, compute with ${choice}`);
  }
  await page.getByRole('button', { name: 'Close' }).click();
  await importFrom(page, `${server.origin}/missing.gguf`);
  await expect(page.getByRole('alert')).toBeVisible();
  await page.getByText('Hugging Face access token').first().click();
  await expect(page.getByLabel('Hugging Face access token')).toBeVisible();
  await expectNoFindings(page, 'models');
  await page.goto(`${server.origin}/embed.html`);
  await expect(page.getByText('This page is for embedding')).toBeVisible();
  await expectNoFindings(page, 'embedded page');
});

test('axe finds no problem on any view of a phone', async ({ page, server }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto(`${server.origin}/`);
  await expect(page.getByRole('button', { name: 'Once upon a time' })).toBeEnabled();
  await stopStoryAfter(page, 1, () => page.getByRole('button', { name: 'Once upon a time' }).click());
  await expect(page.getByRole('button', { name: 'Continue' })).toBeEnabled();
  await page.goto(`${server.origin}/#models`);
  await page.getByRole('textbox', { name: 'GGUF address' }).fill(`${server.origin}/missing.gguf`);
  await page.getByRole('button', { name: 'Import', exact: true }).click();
  await expect(page.getByRole('alert')).toBeVisible();
  await page.getByText('Hugging Face access token').first().click();
  await expect(page.getByLabel('Hugging Face access token')).toBeVisible();
  await expectNoFindings(page, 'models on a phone');
  await page.goto(`${server.origin}/#experts`);
  await page.getByText('By layer').click();
  await expectNoFindings(page, 'experts on a phone');
  await page.getByRole('link', { name: 'Routing' }).click();
  await expectNoFindings(page, 'routing on a phone');
  await page.getByRole('link', { name: 'Laboratory' }).click();
  await expectNoFindings(page, 'laboratory on a phone');
  await page.getByRole('button', { name: 'Show sidebar' }).click();
  await expectNoFindings(page, 'drawer');
});

test('menus, dialog, versions and skip link work by keyboard, and focus returns afterwards', async ({
  page,
  server,
}) => {
  await openPage(page, server);
  await page.keyboard.press('Tab');
  await expect(page.getByRole('button', { name: 'Skip to content' })).toBeFocused();
  await page.keyboard.press('Enter');
  await page.keyboard.press('Tab');
  await expect(page.getByRole('button', { name: /Once upon a time/ })).toBeFocused();
  await page
    .getByLabel('Conversations to import')
    .setInputFiles({ name: 'c.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(CHAT)) });

  const more = page.getByRole('button', { name: 'More options for Heaps' });
  await more.focus();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('menuitem', { name: 'Rename' })).toBeFocused();
  await page.keyboard.press('ArrowUp');
  await expect(page.getByRole('menuitem', { name: 'Delete' })).toBeFocused();
  await page.keyboard.press('Escape');
  await expect(more).toBeFocused();

  await page.getByRole('button', { name: 'Previous version' }).focus();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('group', { name: 'Versions' })).toContainText('1 / 2');

  const settings = page.getByRole('button', { name: 'Settings' });
  await settings.focus();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('dialog', { name: 'Settings' })).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog', { name: 'Settings' })).toBeHidden();
  await expect(settings).toBeFocused();
  await page.keyboard.press('Control+Shift+O');
  await expect(page.getByRole('heading', { name: 'Start a story' })).toBeVisible();

  await page.setViewportSize({ width: 390, height: 844 });
  await page.getByRole('button', { name: 'Show sidebar' }).focus();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('button', { name: 'New conversation' })).toBeFocused();
  await page.keyboard.press('Escape');
  await expect(page.getByRole('button', { name: 'Show sidebar' })).toBeFocused();
  // The second time the page is already shown, and the drawer must close nevertheless.
  for (const times of [1, 2]) {
    await page.getByRole('button', { name: 'Show sidebar' }).click();
    await page.getByRole('link', { name: 'Models' }).click();
    await expect(page.getByRole('navigation', { name: 'Conversations' }), `${times}`).toBeHidden();
  }
});
