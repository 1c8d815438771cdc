/** Chatting with an imported model: streaming, offline use, memory budgets, Markdown. */
import {
  computeWith,
  expect,
  offlineTest,
  openTinyChat,
  SLOW_MS,
  setModelMemory,
  setNumbers,
  test,
} from './fixtures.ts';

offlineTest('imports over HTTP, chats, stops, reloads and chats again offline', async ({ page, server, context }) => {
  server.msPerToken = SLOW_MS;
  await openTinyChat(page, server);
  await setNumbers(page, { 'Max answer length': '4000' });

  const message = page.getByRole('textbox', { name: 'Message' });
  await message.fill('What can you do?');
  await message.press('Enter');
  const answers = page.getByRole('list', { name: 'Conversation' }).getByRole('listitem');
  await expect(answers).toHaveCount(2);
  // Tokens stream: there is text while the model is still generating, and it grows.
  await expect(page.getByRole('button', { name: 'Stop' })).toBeVisible();
  await expect.poll(async () => (await answers.nth(1).innerText()).length).toBeGreaterThan(20);
  const early = (await answers.nth(1).innerText()).length;
  await expect.poll(async () => (await answers.nth(1).innerText()).length).toBeGreaterThan(early);

  await page.getByRole('button', { name: 'Stop' }).click();
  await expect(page.getByText(/tokens\/s · \d+% expert hits · stopped/)).toBeVisible();
  await expect(page.getByRole('button', { name: 'Send' })).toBeVisible();
  const answer = await answers.nth(1).innerText();

  await page.evaluate(() => navigator.serviceWorker.ready);
  server.close();
  await context.setOffline(true);
  await page.reload();
  await expect(page.getByRole('button', { name: /Tiny Chat/ })).toBeVisible();
  await expect(answers.nth(1)).toHaveText(answer, { useInnerText: true });
  await expect(page.getByRole('button', { name: 'Send' })).toBeEnabled();
  await message.fill('And more?');
  await message.press('Enter');
  await expect(answers).toHaveCount(4);
  await expect.poll(async () => (await answers.nth(3).innerText()).length).toBeGreaterThan(5);
  // The random answer may have ended by itself. Then there is a Send button, which does nothing.
  await page
    .getByRole('button', { name: 'Stop' })
    .or(page.getByRole('button', { name: 'Send' }))
    .click();
  await expect(page.getByRole('button', { name: 'Send' })).toBeVisible();
});

for (const [kind, budget] of [
  ['GPU', 'GPU budget'],
  ['CPU', 'memory budget'],
] as const) {
  test(`a small ${budget} makes experts stream, and one that is too small is refused with the minimum`, async ({
    page,
    server,
  }) => {
    await openTinyChat(page, server);
    await computeWith(page, kind);
    await setNumbers(page, { 'Max answer length': '4000' });
    await setModelMemory(page, '1');
    const alert = page.getByRole('alert');
    await expect(alert).toContainText(
      new RegExp(`A ${budget} of 1 MB is too small: this model needs at least \\d+ MB`),
    );
    const least = /at least (\d+) MB/.exec(await alert.innerText())?.[1] ?? '';
    // One click removes the budget, and the model loads again.
    await alert.getByRole('button', { name: 'Use automatic memory' }).click();
    await expect(alert).toBeHidden();
    await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
    await setModelMemory(page, least);
    await expect(alert).toBeHidden();
    const message = page.getByRole('textbox', { name: 'Message' });
    await expect(page.getByRole('button', { name: 'Send' })).toBeEnabled();
    await message.fill('Hello');
    await message.press('Enter');
    const answer = page.getByRole('list', { name: 'Conversation' }).getByRole('listitem').nth(1);
    // Wait for a few tokens: an answer that is stopped before its first one leaves neither text nor figures.
    await expect.poll(async () => (await answer.innerText()).length).toBeGreaterThan(20);
    await page.getByRole('button', { name: 'Stop' }).click();
    const hits = /(\d+)% expert hits/.exec(await page.getByText(/% expert hits/).innerText())?.[1];
    expect(Number(hits)).toBeLessThan(100);
  });
}

test('an answer is rendered as Markdown while it streams, with a highlighted code block that grows', async ({
  page,
  server,
}) => {
  server.msPerToken = SLOW_MS;
  await openTinyChat(page, server);
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('spinbutton', { name: 'Max answer length' }).fill('3000');
  await page.getByRole('button', { name: 'Close' }).click();
  // The model's random text continues an open code block.
  const turns = [
    { id: '1', parent: null, by: 'user', text: 'Show me', at: 1 },
    { id: '2', parent: '1', by: 'model', text: 'It *begins*:\n\n```python\nimport heapq\nx = ', at: 1 },
  ];
  const conversation = {
    id: 'x',
    title: 'Code',
    kind: 'chat',
    createdAt: 1,
    changedAt: 1,
    writing: { maxTokens: 3000 },
    chosen: {},
    turns,
  };
  const file = { format: 'mixtab-conversations', version: 1, conversations: [conversation] };
  await page
    .getByLabel('Conversations to import')
    .setInputFiles({ name: 'c.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(file)) });
  const answer = page.getByRole('list', { name: 'Conversation' }).getByRole('listitem').nth(1);
  await expect(answer.locator('em')).toHaveText('begins');
  const code = answer.locator('pre code');
  const before = (await code.innerText()).length;
  await page.getByRole('button', { name: 'Continue' }).click();
  await expect.poll(async () => (await code.innerText()).length).toBeGreaterThan(before + 20);
  await expect(page.getByRole('button', { name: 'Stop' })).toBeVisible();
  await expect(code.locator('.hljs-keyword').first()).toHaveText('import');
  await page.getByRole('button', { name: 'Stop' }).click();
  await expect(page.getByText(/tokens\/s .* stopped/)).toBeVisible();
});
