/** Conversations: versions, search, renaming, deletion, and export to files. */
import { readFileSync } from 'node:fs';
import type { Page } from '@playwright/test';
import { expect, openPage, openTinyChat, type TestServer, test } from './fixtures.ts';

const messages = (page: Page) => page.getByRole('list', { name: 'Conversation' }).getByRole('listitem');
const list = (page: Page) =>
  page
    .getByRole('navigation', { name: 'Conversations' })
    .getByRole('list')
    .getByRole('button', { name: /^(?!More)/ });

/** Opens the page with a chat model, short answers and a system prompt. */
async function openChat(page: Page, server: TestServer): Promise<void> {
  await openTinyChat(page, server);
  // Short answers are enough: this tests what happens to them afterwards.
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('spinbutton', { name: 'Max answer length' }).fill('8');
  // A seed with which the random answers do not end by themselves.
  await page.getByRole('spinbutton', { name: 'Seed' }).fill('1');
  await page.getByRole('textbox', { name: 'System prompt' }).fill('Be brief.');
  await page.getByRole('button', { name: 'Close' }).click();
}

/** Imports a conversation from a file, which opens it. */
async function importChat(page: Page, chat: object): Promise<void> {
  const file = { format: 'mixtab-conversations', version: 1, conversations: [chat] };
  await page
    .getByLabel('Conversations to import')
    .setInputFiles({ name: 'chats.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(file)) });
}

/** Sends a message and waits for its answer. `count` is the number of messages afterwards. */
async function say(page: Page, text: string, count: number): Promise<void> {
  await page.getByRole('textbox', { name: 'Message' }).fill(text);
  await page.getByRole('textbox', { name: 'Message' }).press('Enter');
  await expect(messages(page)).toHaveCount(count);
  await expect(
    messages(page)
      .last()
      .getByText(/tokens\/s/),
  ).toBeVisible();
}

test('a conversation branches, is stored with its settings, found, renamed, deleted and restored', async ({
  page,
  server,
}) => {
  await openChat(page, server);
  await say(page, 'Tell me of whales', 2);
  await say(page, 'And of squids', 4);

  // Messages and answers can be copied.
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  const clipboard = () => page.evaluate(() => navigator.clipboard.readText());
  await messages(page).first().hover();
  const copy = messages(page).first().getByRole('button', { name: 'Copy message' });
  await expect(copy).toHaveCSS('opacity', '1'); // visible before it is clicked
  await copy.click();
  expect(await clipboard()).toBe('Tell me of whales');
  await messages(page).last().getByRole('button', { name: 'Copy answer' }).click();
  expect((await clipboard()).trim()).not.toBe('Tell me of whales');

  // Regenerate, and go back to the first version.
  const answer = messages(page).nth(1).locator('.prose');
  const first = await answer.innerText();
  await messages(page).nth(1).hover();
  await messages(page).nth(1).getByRole('button', { name: 'Regenerate' }).click();
  await expect(messages(page)).toHaveCount(2);
  await expect(messages(page).last()).toContainText('2 / 2');
  await expect(
    messages(page)
      .last()
      .getByText(/tokens\/s/),
  ).toBeVisible();
  const second = await answer.innerText();
  await page.getByRole('button', { name: 'Previous version' }).click();
  await expect(messages(page)).toHaveCount(4);
  await expect(answer).toHaveText(first, { useInnerText: true });

  // An edited message is another version, and the answers to the old one are kept.
  await messages(page).nth(2).hover();
  await messages(page).nth(2).getByRole('button', { name: 'Edit message' }).click();
  await page.getByRole('textbox', { name: 'Edited message' }).fill('And of crabs');
  await page.getByRole('textbox', { name: 'Edited message' }).press('Enter');
  await expect(messages(page).nth(2)).toContainText('And of crabs');
  await expect(messages(page).nth(2)).toContainText('2 / 2');
  await expect(
    messages(page)
      .last()
      .getByText(/tokens\/s/),
  ).toBeVisible();

  // Continue extends the same answer.
  const before = await messages(page).last().locator('.prose').innerText();
  await page.getByRole('button', { name: 'Continue' }).click();
  await expect(
    messages(page)
      .last()
      .getByText(/^16 tokens/),
  ).toBeVisible();
  expect((await messages(page).last().locator('.prose').innerText()).startsWith(before.trim().slice(0, 20))).toBe(true);

  await page.reload();
  await expect(messages(page)).toHaveCount(4);
  await expect(messages(page).nth(2)).toContainText('And of crabs');
  await expect(page.getByText('System prompt')).toBeVisible();
  await messages(page).nth(2).hover();
  await messages(page).nth(2).getByRole('button', { name: 'Previous version' }).click();
  await expect(messages(page).nth(2)).toContainText('And of squids');
  expect(second).not.toBe('');

  // A draft survives a switch to another conversation and a reload.
  const field = page.getByRole('textbox', { name: 'Message' });
  await field.fill('a thought');
  await page.getByRole('button', { name: 'New conversation' }).click();
  await expect(field).toHaveValue('');
  await page.reload();
  await list(page).click();
  await expect(field).toHaveValue('a thought');
  await field.fill('');

  // With a second conversation: the first is found by words in a version that is not shown.
  await page.getByRole('button', { name: 'New conversation' }).click();
  await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
  await say(page, 'Of mountains', 2);
  await expect(list(page)).toHaveText([/Of mountains/, /Tell me of whales/]);
  await page.getByRole('searchbox', { name: 'Search conversations' }).fill('crabs');
  await expect(list(page)).toHaveCount(1);
  await expect(list(page)).toContainText('And of crabs');
  await list(page).click();
  await expect(messages(page).first()).toContainText('whales');
  await page.getByRole('searchbox', { name: 'Search conversations' }).fill('');

  await page.getByRole('button', { name: 'More options for Tell me of whales' }).click();
  await page.getByRole('menuitem', { name: 'Rename' }).click();
  await page.getByRole('textbox', { name: 'Title' }).fill('Whales');
  await page.getByRole('textbox', { name: 'Title' }).press('Enter');
  await expect(page).toHaveTitle('Whales · mixtab');
  await page.getByRole('button', { name: 'More options for Whales' }).click();
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  await expect(list(page)).toHaveText([/Of mountains/]);
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect(messages(page).first()).toContainText('whales');
  await page.reload();
  await expect(list(page)).toHaveCount(2);
});

test('conversations are exported and imported again, as JSON with all versions and as Markdown', async ({
  page,
  server,
}) => {
  await openPage(page, server);
  const turn = (id: string, parent: string | null, by: string, text: string) => ({ id, parent, by, text, at: 1 });
  const file = {
    format: 'mixtab-conversations',
    version: 1,
    conversations: [
      {
        id: 'x',
        title: 'From elsewhere',
        kind: 'chat',
        createdAt: 1,
        changedAt: 1,
        writing: { temperature: 0.25 },
        chosen: {},
        turns: [
          turn('1', null, 'user', 'Show me code'),
          turn('2', '1', 'model', 'An older answer'),
          turn(
            '3',
            '1',
            'model',
            'Here <img src=x onerror="window.hacked=1"> <script>window.hacked=1</script>:\n\n```js\nconst a = "<b>";\n```\n\n' +
              '[good](https://example.org) [bad](javascript:window.hacked=1) ![pixel](https://example.org/p.png)',
          ),
        ],
      },
    ],
  };
  const calls: string[] = [];
  page.on('request', (request) => calls.push(request.url()));
  await page
    .getByLabel('Conversations to import')
    .setInputFiles({ name: 'chats.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(file)) });
  const answer = messages(page).nth(1);
  await expect(answer).toContainText('2 / 2');

  // HTML in an answer is shown as text, code is highlighted and can be copied, links are safe, images are not loaded.
  await expect(answer.locator('.hljs-keyword')).toHaveText('const');
  await expect(answer).toContainText('<img src=x onerror="window.hacked=1">');
  await expect(answer.getByRole('link', { name: 'good' })).toHaveAttribute('rel', /noopener/);
  await expect(answer.getByRole('link', { name: 'bad' })).toHaveCount(0);
  await expect(answer.locator('img, script')).toHaveCount(0);
  expect(await page.evaluate(() => 'hacked' in window)).toBe(false);
  expect(calls.filter((url) => url.includes('example.org'))).toEqual([]);
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await answer.getByRole('button', { name: 'Copy', exact: true }).click();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe('const a = "<b>";');

  const save = async (item: string): Promise<string> => {
    await page.getByRole('button', { name: 'More options for From elsewhere' }).first().click();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('menuitem', { name: item }).click(),
    ]);
    return readFileSync(await download.path(), 'utf8');
  };
  const json = await save('Export as JSON');
  expect(JSON.parse(json).conversations[0].turns.map(({ text }: { text: string }) => text)).toEqual(
    file.conversations[0].turns.map(({ text }) => text),
  );
  const markdown = await save('Export as Markdown');
  expect(markdown).toContain('## You\n\nShow me code');
  await page
    .getByLabel('Conversations to import')
    .setInputFiles({ name: 'back.md', mimeType: 'text/markdown', buffer: Buffer.from(markdown) });
  await expect(list(page)).toHaveCount(2);
  await expect(messages(page)).toHaveCount(2);
  await page
    .getByLabel('Conversations to import')
    .setInputFiles({ name: 'no.json', mimeType: 'application/json', buffer: Buffer.from('{}') });
  await expect(page.getByRole('alert')).toContainText('The file cannot be imported');
});

test('of a chat with more than 200 messages the newest are drawn, and the others on request', async ({
  page,
  server,
}) => {
  await openPage(page, server);
  const turns = Array.from({ length: 450 }, (_, i) => ({
    id: `t${i}`,
    parent: i === 0 ? null : `t${i - 1}`,
    by: i % 2 === 0 ? 'user' : 'model',
    text: `Message ${i}`,
    at: 1,
  }));
  const chat = { id: 'long', title: 'Long', kind: 'chat', createdAt: 1, changedAt: 1, chosen: {}, turns };
  await importChat(page, chat);
  await expect(messages(page).last()).toContainText('Message 449');
  await expect(messages(page)).toHaveCount(200);
  await page.getByRole('button', { name: 'Show earlier messages (250)' }).click();
  await expect(messages(page)).toHaveCount(400);
  await expect(messages(page).first()).toContainText('Message 50');
  await page.getByRole('button', { name: 'Show earlier messages (50)' }).click();
  await expect(messages(page)).toHaveCount(450);
  await expect(messages(page).first()).toContainText('Message 0');
  await expect(page.getByRole('button', { name: /Show earlier messages/ })).toHaveCount(0);
});

test('a long chat is drawn in steps from its end, and what the reader sees stays where it is', async ({
  page,
  server,
}) => {
  await openPage(page, server);
  const words = 'Some *words* of an answer, with `code` and **more**. '.repeat(6);
  const answer = (name: string) => Array.from({ length: 24 }, (_, i) => `${name}, part ${i}. ${words}`).join('\n\n');
  const turn = (id: string, parent: string | null, by: string, text: string) => ({ id, parent, by, text, at: 1 });
  const turns = Array.from({ length: 20 }, (_, i) =>
    turn(
      `t${i}`,
      i === 0 ? null : `t${i - 1}`,
      i % 2 === 0 ? 'user' : 'model',
      i % 2 ? answer(`Answer ${i}`) : `Q ${i}`,
    ),
  );
  // Two versions of the same length in the middle. The newer one is shown, and followed by as much.
  turns.push(...turns.slice(11).map((old) => ({ ...old, id: `${old.id}b`, parent: `${old.parent}b` })));
  turns[20].parent = 't10';
  const chat = { id: 'steps', title: 'Steps', kind: 'chat', createdAt: 1, changedAt: 1, chosen: {}, turns };
  await importChat(page, chat);
  const ready = page.locator('ol.messages[aria-busy="false"]');
  await expect(ready).toHaveCount(1);
  await expect(messages(page)).toHaveCount(20);
  await expect(messages(page).last()).toContainText('Answer 19, part 23');
  await page.getByRole('button', { name: 'New conversation' }).click();
  await expect(messages(page)).toHaveCount(0);

  // In the page, because drawing does not wait for this test.
  const opened = await page.evaluate(async () => {
    const scroller = document.getElementById('main')!;
    const nextTask = () => new Promise((resolve) => setTimeout(resolve));
    const blocks = () => [...document.querySelectorAll<HTMLElement>('.messages .block')];
    const topOf = (element: Element) => element.getBoundingClientRect().top;
    // There are frames between two steps on any machine.
    const Real = MessageChannel;
    class Slow {
      port1 = { onmessage: () => {}, close: () => {} };
      port2 = { postMessage: () => setTimeout(() => this.port1.onmessage(), 100) };
    }
    Object.assign(window, { MessageChannel: Slow });
    [...document.querySelectorAll('button')].find(({ textContent }) => textContent.trim() === 'Steps')!.click();
    while (blocks().length === 0) await nextTask();
    const atFirst = { blocks: blocks().length, last: blocks().at(-1)!.textContent };
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    await frame();
    await frame();
    const atBottom = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
    // The reader scrolls up, to the top of what is drawn, in a frame in which the page grows.
    document.querySelector<HTMLElement>('ol.messages')!.style.paddingBottom = '10px';
    scroller.scrollTop = 0;
    const seen = blocks()[0];
    const before = topOf(seen);
    const moves: number[] = [];
    while (document.querySelector('.messages')!.ariaBusy === 'true') {
      await frame();
      moves.push(Math.abs(topOf(seen) - before));
      if (moves.length === 20) Object.assign(window, { MessageChannel: Real });
    }
    return { atFirst, atBottom, moved: Math.max(...moves), steps: moves.length, blocks: blocks().length };
  });
  expect(opened.atFirst.last).toContain('Answer 19, part 23');
  expect(opened.atFirst.blocks).toBeLessThan(100);
  expect(opened.atBottom).toBeLessThan(2);
  expect(opened.blocks).toBe(240);
  expect(opened.steps).toBeGreaterThan(1);
  expect(opened.moved).toBeLessThan(2);

  const main = page.getByRole('main');
  const switcher = messages(page).nth(11).getByRole('button', { name: 'Previous version' });
  await switcher.scrollIntoViewIfNeeded();
  const before = (await switcher.boundingBox())!.y;
  await switcher.click();
  await expect(messages(page).nth(11)).toContainText('1 / 2');
  await expect(ready).toHaveCount(1);
  await expect(messages(page)).toHaveCount(20);
  await expect(main.getByText('Answer 19, part 23')).toHaveCount(1);
  const after = await messages(page).nth(11).getByRole('button', { name: 'Previous version' }).boundingBox();
  expect(Math.abs(after!.y - before)).toBeLessThan(2);
});

test('a long answer is shown as tokens and as text again without a jump, and an unfinished edit takes no focus', async ({
  page,
  server,
}) => {
  await openTinyChat(page, server);
  const turn = (id: string, parent: string | null, by: string, text: string) => ({ id, parent, by, text, at: 1 });
  const answer = Array.from({ length: 60 }, (_, i) => `Part ${i} *of* an answer.`).join('\n\n');
  const turns = Array.from({ length: 12 }, (_, i) =>
    turn(`t${i}`, i === 0 ? null : `t${i - 1}`, i % 2 === 0 ? 'user' : 'model', i % 2 ? answer : `Question ${i}`),
  );
  const chat = { id: 'tokens', title: 'Tokens', kind: 'chat', createdAt: 1, changedAt: 1, chosen: {}, turns };
  await importChat(page, chat);
  const ready = page.locator('ol.messages[aria-busy="false"]');
  await expect(ready).toHaveCount(1);
  const second = messages(page).nth(3);
  await second.getByRole('button', { name: 'Show tokens' }).click();
  await expect(second.getByRole('listbox')).toBeVisible();
  const button = second.getByRole('button', { name: 'Show text' });
  const next = messages(page).nth(4).locator('.bubble');
  await button.evaluate((element) => element.scrollIntoView({ block: 'center' }));
  const before = (await next.boundingBox())!.y;
  await button.click();
  await expect(second.getByText('Part 59')).toHaveCount(1);
  await expect(ready).toHaveCount(1);
  await expect(page.locator('.held')).toHaveCount(0);
  expect(Math.abs((await next.boundingBox())!.y - before)).toBeLessThan(4);

  // Printed: all of the conversation, and neither the sidebar nor the composer.
  await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
  await expect(page.getByRole('textbox', { name: 'Message' })).toBeHidden();
  await expect(page.getByRole('navigation', { name: 'Conversations' })).toBeHidden();
  const heights = await page.evaluate(() => [
    document.documentElement.scrollHeight,
    document.querySelector('.messages')!.getBoundingClientRect().height,
  ]);
  expect(heights[0]).toBeGreaterThanOrEqual(heights[1]);
  await expect(page.locator('body')).toHaveCSS('color', 'rgb(26, 29, 36)');
  await page.emulateMedia({ media: 'screen' });

  await messages(page).first().hover();
  await messages(page).first().getByRole('button', { name: 'Edit message' }).click();
  await expect(page.getByRole('textbox', { name: 'Edited message' })).toBeFocused();
  await page.getByRole('textbox', { name: 'Edited message' }).fill('Not finished');
  await page.getByRole('button', { name: 'New conversation' }).click();
  await page.getByRole('textbox', { name: 'Message' }).focus();
  await list(page).first().dispatchEvent('click'); // a click would move the focus
  await expect(page.getByRole('textbox', { name: 'Edited message' })).toHaveValue('Not finished');
  await expect(ready).toHaveCount(1);
  await expect(page.getByRole('textbox', { name: 'Edited message' })).not.toBeFocused();
});
