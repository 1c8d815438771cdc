/** Importing models: bad files, local and split files, interruption, repair and deletion. */
import {
  chatFiles,
  chatModel,
  chatPieces,
  damageRecord,
  expect,
  importFrom,
  modelsWithBytes,
  openLibrary,
  openPage,
  openTinyChat,
  recordHashes,
  storedModels,
  test,
} from './fixtures.ts';

const BAD_FILES: [file: string, message: RegExp][] = [
  ['truncated.gguf', /truncated\.gguf is cut off/],
  ['cut-header.gguf', /cut-header\.gguf is cut off/],
  ['foreign.gguf', /foreign\.gguf is not a GGUF/],
  ['other-architecture.gguf', /is not a Mixtral model: its architecture is "qwen9"/],
  ['no-ranges.gguf', /byte ranges/],
  ['missing.gguf', /404/],
  ['gap/chat-00001-of-00003.gguf', /chat-00002-of-00003\.gguf is out of reach/],
];

for (const [file, message] of BAD_FILES) {
  test(`${file} is refused with the reason, and nothing is lost`, async ({ page, server }) => {
    await openPage(page, server);
    const before = await storedModels(page);
    await page.getByRole('textbox', { name: 'Your text' }).fill('words that must stay');
    await importFrom(page, `${server.origin}/${file}`);
    await expect(page.getByRole('alert')).toContainText(message);
    await page.getByRole('button', { name: 'Dismiss' }).click();
    expect(await storedModels(page)).toEqual(before);
    await expect(page.getByRole('textbox', { name: 'Your text' })).toHaveValue('words that must stay');
    // The model in use is still loaded.
    await expect(page.getByRole('button', { name: 'Continue' })).toBeEnabled();
  });
}

test('while no model is loaded, there is a button that loads one, also after an error was dismissed', async ({
  page,
  server,
}) => {
  server.missing = /builtin\.gguf$/;
  await page.goto(`${server.origin}/`);
  const alert = page.getByRole('alert');
  await expect(alert).toContainText('404');
  await expect(alert).toContainText('This site lacks its own model. Import another one.');
  const notice = page.getByRole('status').filter({ hasText: 'No model is loaded.' });
  const load = notice.getByRole('button', { name: 'Load the built-in model' });
  await load.click();
  await expect(alert).toContainText('404');
  await alert.getByRole('button', { name: 'Dismiss' }).click();
  server.missing = undefined;
  await load.click();
  await expect(page.getByRole('button', { name: 'Once upon a time' })).toBeEnabled();
  await expect(notice).toHaveCount(0);
  await openLibrary(page);
  await page.getByRole('button', { name: 'Delete mixtab storyteller' }).click();
  await page.getByRole('button', { name: 'Delete mixtab storyteller' }).click();
  await load.click();
  await expect(page.getByRole('heading', { name: 'Start a story' })).toBeVisible();
});

test('imports a local file from the file chooser', async ({ page, server }) => {
  await openPage(page, server);
  await openLibrary(page);
  await page
    .getByLabel('GGUF file')
    .setInputFiles({ name: 'mine.gguf', mimeType: 'application/octet-stream', buffer: Buffer.from(chatModel()) });
  await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
});

test('imports a local file that is dropped on the page', async ({ page, server }) => {
  await openPage(page, server);
  const transfer = await page.evaluateHandle(async (url) => {
    const bytes = await (await fetch(url)).arrayBuffer();
    const data = new DataTransfer();
    data.items.add(new File([bytes], 'dropped.gguf'));
    return data;
  }, `${server.origin}/chat.gguf`);
  await page.dispatchEvent('body', 'dragover', { dataTransfer: transfer });
  await expect(page.getByText('Drop GGUF files here to import them')).toBeVisible();
  await page.dispatchEvent('body', 'drop', { dataTransfer: transfer });
  await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
});

test('imports a model in three files, by the address of one and by choosing all', async ({ page, server }) => {
  await openTinyChat(page, server);
  const single = (await recordHashes(page))['chat.gguf'];
  const deleteModel = async (): Promise<void> => {
    await openLibrary(page);
    await page.getByRole('button', { name: 'Delete Tiny Chat' }).click();
    await page.getByRole('button', { name: 'Delete Tiny Chat' }).click();
    await expect(page.getByRole('list', { name: 'Stored models' }).getByRole('listitem')).toHaveCount(1);
  };
  await deleteModel();
  await importFrom(page, `${server.origin}/chat-00002-of-00003.gguf`);
  await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
  expect((await recordHashes(page))['chat.gguf']).toEqual(single);
  await deleteModel();

  const files = chatFiles().map(({ name, bytes }) => ({
    name,
    mimeType: 'application/octet-stream',
    buffer: Buffer.from(bytes),
  }));
  await openLibrary(page);
  await page.getByLabel('GGUF file').setInputFiles([files[2], files[0]]);
  await expect(page.getByRole('alert')).toContainText('chat-00002-of-00003.gguf is not given');
  await page.getByRole('button', { name: 'Dismiss' }).click();
  await openLibrary(page);
  await page.getByLabel('GGUF file').setInputFiles(files.reverse());
  await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
  expect((await recordHashes(page))['chat.gguf']).toEqual(single);
});

test('imports a model cut into pieces, by address, by choosing and by dropping all of them', async ({
  page,
  server,
}) => {
  await openPage(page, server);
  const deleteModel = async (): Promise<void> => {
    await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
    await openLibrary(page);
    await page.getByRole('button', { name: 'Delete Tiny Chat' }).click();
    await page.getByRole('button', { name: 'Delete Tiny Chat' }).click();
    await expect(page.getByRole('list', { name: 'Stored models' }).getByRole('listitem')).toHaveCount(1);
  };
  await importFrom(page, `${server.origin}/chat.gguf.part2of3`);
  await deleteModel();

  const files = chatPieces().map(({ name, bytes }) => ({ name, mimeType: '', buffer: Buffer.from(bytes) }));
  const chooser = page.getByLabel('GGUF file');
  // The file chooser must not filter, because no filter can list the name endings of the pieces.
  await expect(chooser).not.toHaveAttribute('accept');
  await chooser.setInputFiles([files[2], files[0]]);
  await expect(page.getByRole('alert')).toContainText('chat.gguf.part2of3 is not given');
  await page.getByRole('button', { name: 'Dismiss' }).click();
  await chooser.setInputFiles([files[2], files[0], files[1]]);
  await deleteModel();

  const transfer = await page.evaluateHandle(
    async (urls) => {
      const data = new DataTransfer();
      for (const url of urls)
        data.items.add(new File([await (await fetch(url)).arrayBuffer()], url.slice(url.lastIndexOf('/') + 1)));
      return data;
    },
    files.map(({ name }) => `${server.origin}/${name}`),
  );
  await page.dispatchEvent('body', 'drop', { dataTransfer: transfer });
  await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
});

test('a cancelled import asks before it deletes, leaves nothing behind and can be repeated', async ({
  page,
  server,
}) => {
  await openPage(page, server);
  const before = await storedModels(page);
  server.slow = true;
  await importFrom(page, `${server.origin}/chat.gguf`);
  await expect(page.getByText(/Importing chat\.gguf: .* of .* · .*records/)).toBeVisible();
  const cancel = page.getByRole('button', { name: 'Cancel' });
  await cancel.click();
  await expect(page.getByText(/Delete the [\d.]+ [kM]B that are stored\?/)).toBeVisible();
  await page.getByRole('button', { name: 'Continue importing' }).click();
  await cancel.click();
  await page.getByRole('button', { name: 'Keep for later' }).click();
  const unfinished = page.getByRole('list', { name: 'Unfinished imports' });
  await expect(unfinished).toContainText('Tiny Chat');
  await page.getByRole('button', { name: 'Continue import of Tiny Chat' }).click();
  await expect(page.getByText(/Importing Tiny Chat: .* of .* · .*records/)).toBeVisible();
  await cancel.click();
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  await expect(page.getByRole('progressbar')).toBeHidden();
  expect(await storedModels(page)).toEqual(before);
  expect(await modelsWithBytes(page)).toBe(before.length);
  server.slow = false;
  await importFrom(page, `${server.origin}/chat.gguf`);
  await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
});

test('an import that a closed tab interrupted continues where it stopped', async ({ page, server }) => {
  await openPage(page, server);
  server.slow = true;
  await importFrom(page, `${server.origin}/chat.gguf`);
  await expect(page.getByText(/ ([6-9]|1\d) of 20 records/)).toBeVisible({ timeout: 30_000 });
  const first = new Set(server.ranges);
  await page.goto('about:blank');
  server.slow = false;
  server.ranges.length = 0;
  await openPage(page, server);
  expect(await storedModels(page)).toEqual(['mixtab storyteller']);
  await openLibrary(page);
  await page.getByRole('button', { name: 'Continue import of Tiny Chat' }).click();
  await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
  // The header and the samples are read again, but nothing of the six stored records (18 ranges).
  const again = [...new Set(server.ranges)].filter((range) => first.has(range)); // samples are read twice
  expect(first.size - again.length).toBeGreaterThanOrEqual(12);
  const hashes = (await recordHashes(page))['chat.gguf'];
  expect(new Set(hashes.map(([key]) => key)).size).toBe(20);
});

test('a paused import can be deleted', async ({ page, server }) => {
  await openPage(page, server);
  server.slow = true;
  await importFrom(page, `${server.origin}/chat.gguf`);
  await expect(page.getByText(/of 20 records/)).toBeVisible({ timeout: 30_000 });
  await page.getByRole('button', { name: 'Pause' }).click();
  const unfinished = page.getByRole('list', { name: 'Unfinished imports' });
  await expect(unfinished).toContainText('Tiny Chat');
  await page.getByRole('button', { name: 'Delete import of Tiny Chat' }).click();
  await expect(unfinished).toBeHidden();
  expect(await storedModels(page)).toEqual(['mixtab storyteller']);
});

test('a damaged model is found and repaired from its source, and its details are shown', async ({ page, server }) => {
  await openTinyChat(page, server);
  await damageRecord(page, 'chat.gguf', 'L1.E2');
  await openLibrary(page);
  await page.getByRole('button', { name: 'Verify Tiny Chat' }).click();
  await expect(page.getByRole('alert')).toContainText('1 record is damaged');
  await page.getByRole('button', { name: 'Dismiss' }).click();
  await page.getByRole('button', { name: 'Repair Tiny Chat' }).click();
  await expect(page.getByRole('button', { name: 'Repair Tiny Chat' })).toBeHidden();
  await page.getByRole('button', { name: 'Verify Tiny Chat' }).click();
  await expect(page.getByText('Verified: all data is intact.')).toBeVisible();
  const card = page.getByRole('listitem').filter({ hasText: 'Tiny Chat' });
  await card.getByText('Details').click();
  await expect(card.getByRole('row', { name: /experts/ })).toContainText('Q4_K');
  await expect(card).toContainText(/This model fits completely in [\d.]+ GB of (GPU )?memory: up to/);
});

test('a model without a chat template answers in a chat format that is chosen by hand', async ({ page, server }) => {
  await openPage(page, server);
  await importFrom(page, `${server.origin}/plain.gguf`);
  const inUse = page.getByRole('banner').getByRole('button', { name: /Tiny Text/ });
  await expect(inUse).toHaveAccessibleName(/base model/);
  await openLibrary(page);
  const card = page.getByRole('listitem').filter({ hasText: 'Tiny Text' });
  await card.getByText('Details').click();
  const format = card.getByRole('combobox', { name: 'Chat format' });
  await expect(format).toHaveValue('');
  await format.selectOption('ChatML');
  await page.getByRole('button', { name: 'Back to chat' }).click();
  await expect(inUse).toHaveAccessibleName(/chat ·/);
  await page.reload(); // the choice is kept
  await expect(inUse).toHaveAccessibleName(/chat ·/);
});

test('a model can be deleted, after a confirmation', async ({ page, server }) => {
  await openTinyChat(page, server);
  await openLibrary(page);
  await page.getByRole('button', { name: 'Verify Tiny Chat' }).click();
  await expect(page.getByText('Verified: all data is intact.')).toBeVisible();
  await page.getByRole('button', { name: 'Delete Tiny Chat' }).click();
  await page.getByRole('button', { name: 'Cancel', exact: true }).click();
  await page.getByRole('button', { name: 'Delete Tiny Chat' }).click();
  await page.getByRole('button', { name: 'Delete Tiny Chat' }).click();
  await expect(page.getByRole('list', { name: 'Stored models' }).getByRole('listitem')).toHaveCount(1);
  expect(await storedModels(page)).toEqual(['mixtab storyteller']);
  expect(await modelsWithBytes(page)).toBe(1); // its bytes are gone too, not only its entry in the list
});
