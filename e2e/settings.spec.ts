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

test('the user chooses what computes, sees what applies to it, and the choice is kept', async ({ page, server }) => {
  await openPage(page, server);
  const dialog = page.getByRole('dialog', { name: 'Settings' });
  const choices = dialog.getByRole('group', { name: 'Compute with' });
  const number = (name: string) => dialog.getByRole('spinbutton', { name, exact: true });
  await page.getByRole('button', { name: 'Settings' }).click();
  await expect(choices.getByRole('radio', { name: 'Automatic' })).toBeChecked();
  await expect(choices).toHaveAccessibleDescription(/Uses the GPU if this device has a real one, otherwise the CPU/);
  await choices.getByRole('radio', { name: 'CPU' }).check();
  await expect(choices).toHaveAccessibleDescription(/WebAssembly/);
  for (const name of ['Main memory (MB)', 'Threads']) {
    await expect(number(name)).toHaveAccessibleDescription(/^\S.{15,}/);
    await expect(number(name)).toHaveAttribute('placeholder', 'automatic');
  }
  await expect(number('GPU memory (MB)')).toBeHidden();
  // Not more threads than there are cores, and no half ones.
  for (const bad of ['0', '1.5', '10000']) {
    await number('Threads').fill(bad);
    await number('Threads').blur();
    await expect(number('Threads')).toHaveValue('');
  }
  await choices.getByRole('radio', { name: 'GPU' }).check();
  await expect(choices).toHaveAccessibleDescription(/WebGPU/);
  for (const name of ['GPU memory (MB)', 'RAM (MB)'])
    await expect(number(name)).toHaveAccessibleDescription(/^\S.{15,}/);
  await expect(number('Threads')).toBeHidden();
  await page.getByRole('button', { name: 'Close' }).click();

  await expect(page.getByRole('button', { name: /mixtab storyteller.*GPU/ })).toBeVisible();
  await page.reload();
  await expect(page.getByRole('button', { name: /mixtab storyteller.*GPU/ })).toBeVisible();
  await page.getByRole('button', { name: 'Settings' }).click();
  await expect(choices.getByRole('radio', { name: 'GPU' })).toBeChecked();
  await expect(dialog.getByText(/Computing on .*GPU.*, as you chose\. The model takes .* of GPU memory/)).toBeVisible();
});
