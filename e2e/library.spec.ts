/** The models page: plans before a download, Hugging Face repositories, and use while importing. */
import { expect, importFrom, openLibrary, openPage, setModelMemory, test } from './fixtures.ts';

test('shows the size of a large file and the free space before it is downloaded', async ({ page, server }) => {
  await openPage(page, server);
  await importFrom(page, `${server.origin}/large.gguf`);
  const plan = page.getByRole('region', { name: 'Import large.gguf?' });
  await expect(plan).toContainText(
    /46\.7 B parameters, 12\.9 B active · 8 experts, 2 per token · 4\.\d bits per weight/,
  );
  await expect(plan).toContainText(/26\.\d GB to download\. The browser reports [\d.]+ GB of free space/);
  await plan.getByRole('button', { name: 'Cancel' }).click();
  await expect(plan).toBeHidden();
  await expect(page.getByRole('list', { name: 'Stored models' }).getByRole('listitem')).toHaveCount(1);
  await expect(page.getByText(/of the [\d.]+ GB that this browser allows this page/)).toBeVisible();
});

test('lists the files of a Hugging Face repository and imports one', async ({ page, server }) => {
  await page.route('https://huggingface.co/**', async (route) => {
    const { pathname } = new URL(route.request().url());
    if (pathname === '/api/models/someone/tiny/tree/main') {
      await route.fulfill({
        json: [
          { path: 'README.md', size: 10 },
          { path: 'b.gguf', size: 5e9 },
          { path: 'chat.gguf', size: 2e5 },
        ],
        headers: { 'access-control-allow-origin': '*' },
      });
    } else if (pathname === '/someone/tiny/resolve/main/chat.gguf') {
      await route.fulfill({ response: await route.fetch({ url: `${server.origin}/chat.gguf` }) });
    } else await route.fulfill({ status: 404, headers: { 'access-control-allow-origin': '*' } });
  });
  await openPage(page, server);
  await importFrom(page, 'someone/other');
  await expect(page.getByRole('alert')).toContainText('Hugging Face answered with status 404 for someone/other.');
  await importFrom(page, 'someone/tiny');
  const files = page.getByRole('list', { name: 'Files of someone/tiny' }).getByRole('listitem');
  await expect(files).toHaveText([/chat\.gguf200 kB/, /b\.gguf5\.0 GB/]);
  await page.getByRole('button', { name: 'Import chat.gguf' }).click();
  await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
  await openLibrary(page);
  await page.getByRole('button', { name: 'Use mixtab storyteller' }).click();
  await expect(page.getByRole('heading', { name: 'Start a story' })).toBeVisible();
});

test('lists popular files with size, bits, quality, licence, link and expected speed', async ({ page, server }) => {
  await openPage(page, server);
  await openLibrary(page);
  const files = page.getByRole('list', { name: 'Files of Mixtral 8x7B Instruct v0.1', exact: true });
  const row = files.getByRole('listitem').filter({ hasText: 'Q4_K_M' });
  await expect(row).toContainText('Little quality loss');
  await expect(row.getByRole('img', { name: 'quality 4 of 5' })).toBeVisible();
  await expect(row).toContainText(/28\.6 GB · 4\.9 bits\s*streams, up to [\d.]+ tokens\/s/);
  await expect(row.getByRole('button', { name: 'Import Mixtral 8x7B Instruct v0.1, Q4_K_M' })).toBeEnabled();
  await expect(page.getByRole('link', { name: 'mradermacher/Mixtral-8x7B-Instruct-v0.1-i1-GGUF' })).toHaveAttribute(
    'href',
    /^https:\/\/huggingface\.co\//,
  );
  await expect(page.getByText('Licence: Apache-2.0').first()).toBeVisible();
  // The estimate uses the memory budget from the settings.
  await setModelMemory(page, '64000');
  await expect(row).toContainText(/fits, up to [\d.]+ tokens\/s/);
});

test('a paused import is offered after a reload and continues', async ({ page, server }) => {
  await openPage(page, server);
  server.slow = true;
  await importFrom(page, `${server.origin}/chat.gguf`);
  await expect(page.getByText(/ ([4-9]|1\d) of 20 records · [\d.]+ [kM]B\/s · (\d+ min )?\d+ s left/)).toBeVisible();
  await page.getByRole('button', { name: 'Pause' }).click();
  const unfinished = page.getByRole('list', { name: 'Unfinished imports' });
  await expect(unfinished.getByRole('heading', { name: /Tiny Chat/ })).toBeVisible();
  await page.reload();
  await expect(unfinished).toContainText(/[\d.]+ [kM]B of [\d.]+ [kM]B imported/);
  server.slow = false;
  await page.getByRole('button', { name: 'Continue import of Tiny Chat' }).click();
  await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
  await openLibrary(page);
  await expect(unfinished).toBeHidden();
});

test('a model answers while its experts are still being downloaded', async ({ page, server }) => {
  await openPage(page, server);
  server.slow = true;
  await importFrom(page, `${server.origin}/chat.gguf`);
  await page.getByRole('button', { name: 'Use while importing' }).click();
  await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
  await expect(page.getByText(/Importing chat\.gguf/)).toBeVisible();
  await page.getByRole('textbox', { name: 'Message' }).fill('Are you there?');
  await page.getByRole('textbox', { name: 'Message' }).press('Enter');
  const answer = page.getByRole('list', { name: 'Conversation' }).getByRole('listitem').nth(1);
  await expect.poll(async () => (await answer.innerText()).length).toBeGreaterThan(5);
  server.slow = false;
  await expect(page.getByText(/Importing chat\.gguf/)).toBeHidden();
  await page
    .getByRole('button', { name: 'Stop' })
    .or(page.getByRole('button', { name: 'Regenerate' }))
    .first()
    .click();
  await openLibrary(page);
  await expect(page.getByRole('list', { name: 'Stored models' })).toContainText('Tiny Chat');
});

test('waits for a lost network and says so, lets answers be stopped, and then continues', async ({ page, server }) => {
  await openPage(page, server);
  server.slow = true;
  await importFrom(page, `${server.origin}/chat.gguf`);
  await page.getByRole('button', { name: 'Use while importing' }).click();
  await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
  server.unreachable = true;
  await expect(page.getByText(/Waiting for the network .* The import continues by itself/)).toBeVisible();
  const message = page.getByRole('textbox', { name: 'Message' });
  await message.fill('Are you there?');
  await message.press('Enter');
  await page.getByRole('button', { name: 'Stop' }).click();
  await expect(page.getByRole('button', { name: 'Send' })).toBeVisible();
  await message.fill('And now?');
  await message.press('Enter');
  await expect(page.getByRole('button', { name: 'Stop' })).toBeVisible();
  server.unreachable = false;
  server.slow = false;
  const answers = page.getByRole('list', { name: 'Conversation' }).getByRole('listitem');
  await expect.poll(async () => (await answers.last().innerText()).length).toBeGreaterThan(5);
  await expect(page.getByText(/Waiting for the network/)).toBeHidden();
  await expect(page.getByText(/Importing chat\.gguf/)).toBeHidden();
  await openLibrary(page);
  await expect(page.getByRole('list', { name: 'Stored models' })).toContainText('Tiny Chat');
});
