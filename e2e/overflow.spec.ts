/** Conversations that no longer fit in the model's context. */
import { expect, openPage, openTinyChat, setNumbers, test } from './fixtures.ts';

test('a chat that is longer than the context is not cut until the user decides how', async ({ page, server }) => {
  await openTinyChat(page, server);
  await setNumbers(page, { 'Context length': '96', 'Max answer length': '4' });
  const message = page.getByRole('textbox', { name: 'Message' });
  const messages = page.getByRole('list', { name: 'Conversation' }).getByRole('listitem');
  const words = 'the first of them was not there'; // about one token per character
  for (let count = 2; count <= 10; count += 2) {
    await expect(page.getByRole('button', { name: 'Send' })).toBeEnabled();
    await message.fill(words);
    await message.press('Enter');
    const answered = messages.last().getByText(/tokens\/s/);
    await expect(
      answered.and(messages.nth(count - 1).getByText(/tokens\/s/)).or(page.getByRole('alert')),
    ).toBeVisible();
    if (await page.getByRole('alert').isVisible()) break;
  }
  await expect(page.getByRole('alert')).toContainText("longer than the model's context of 96 tokens");
  const kept = await messages.count();
  await expect(messages.last()).toContainText(words); // the message is not lost
  await page.getByRole('button', { name: 'Leave out the oldest messages' }).click();
  await expect(messages).toHaveCount(kept + 1);
  await expect(page.getByText('The model no longer sees the text above.')).toBeVisible();
  await expect(messages.first()).toContainText(words); // still on the page
  await expect(messages.last().getByText(/tokens\/s/)).toBeVisible();
  await page.getByRole('button', { name: 'Include it again' }).click();
  await expect(page.getByText('The model no longer sees the text above.')).toBeHidden();

  await message.fill(words);
  await message.press('Enter');
  await expect(page.getByRole('alert')).toBeVisible();
  await page.getByRole('button', { name: 'Increase the context to 192 tokens' }).click();
  await expect(messages.last().getByText(/tokens\/s/)).toBeVisible();
  await expect(messages).toHaveCount(kept + 3);
});

test('a story that fills the context says so and continues from its last part', async ({ page, server }) => {
  await openPage(page, server);
  await setNumbers(page, { 'Context length': '40' });
  await expect(page.getByRole('button', { name: 'Once upon a time' })).toBeEnabled();
  await page.getByRole('button', { name: 'Once upon a time' }).click();
  await expect(page.getByText("The model's context is full")).toBeVisible();
  const story = page.getByRole('article', { name: 'Text' });
  const before = (await story.innerText()).length;
  await page.getByRole('button', { name: 'Continue from the last part' }).click();
  await expect(page.getByText('The model no longer sees the text above.')).toBeVisible();
  await expect(page.getByText("The model's context is full")).toBeVisible();
  expect((await story.innerText()).length).toBeGreaterThan(before + 20);
});
