/** The settings dialog. */
import { expect, importFrom, openPage, test } from './fixtures.ts';

test('settings are explained and stored, presets set the sampling, and chats and texts have their own', async ({
  page,
  server,
}) => {
  await openPage(page, server);
  const preset = page.getByRole('combobox', { name: 'Sampling preset' });
  await expect(preset).toHaveValue('Story'); // the built-in model is a storyteller
  const dialog = page.getByRole('dialog', { name: 'Settings' });
  const openSettings = (): Promise<void> => page.getByRole('button', { name: 'Settings' }).click();
  await openSettings();
  for (const name of [
    'Temperature',
    'Top-k',
    'Top-p',
    'Min-p',
    'Repetition penalty',
    'Presence penalty',
    'Frequency penalty',
    'Max answer length',
    'Seed',
    'Context length',
    'GPU memory (MB)',
    'RAM (MB)',
    'Conversation cache (MB)',
    'Prefer resident experts',
    'Skip low-weight experts',
  ]) {
    await expect(dialog.getByRole('spinbutton', { name, exact: true })).toHaveAccessibleDescription(/^\S.{15,}/);
  }
  await expect(dialog.getByRole('checkbox', { name: 'Cache conversations' })).toHaveAccessibleDescription(/\S/);
  await expect(dialog.getByRole('combobox', { name: 'Store new models in' })).toBeVisible();

  await dialog.getByRole('radio', { name: 'Greedy' }).check();
  await expect(dialog.getByRole('spinbutton', { name: 'Temperature' })).toHaveValue('0');
  await dialog.getByRole('spinbutton', { name: 'Temperature' }).fill('0.35');
  await dialog.getByRole('spinbutton', { name: 'Temperature' }).blur();
  await dialog.getByRole('combobox', { name: 'Appearance' }).selectOption('dark');
  await page.getByRole('button', { name: 'Close' }).click();
  await expect(preset).toHaveValue(''); // custom values
  await expect(page.locator('html')).toHaveCSS('color-scheme', 'dark');

  await importFrom(page, `${server.origin}/chat.gguf`);
  await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
  await expect(preset).toHaveValue('Balanced'); // the values set for texts do not apply to chats
  await page.reload();
  await expect(page.getByRole('heading', { name: 'Ask Tiny Chat' })).toBeVisible();
  await expect(page.locator('html')).toHaveCSS('color-scheme', 'dark');
  await page.getByRole('button', { name: /Tiny Chat/ }).click();
  await page.getByRole('button', { name: 'Use mixtab storyteller' }).click();
  await expect(page.getByRole('heading', { name: 'Start a story' })).toBeVisible();
  await openSettings();
  await expect(dialog.getByRole('spinbutton', { name: 'Temperature' })).toHaveValue('0.35');
  await page.getByRole('button', { name: 'Reset to defaults' }).click();
  await page.getByRole('button', { name: 'Close' }).click();
  await expect(preset).toHaveValue('Story');
});
