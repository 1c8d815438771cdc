/** What the two kinds of kills share: options, results, and steps on the page. */
import type { Locator, Page } from 'playwright';
import type { TestServer } from '../../e2e/server.ts';

/** How long to wait for what the page should show, in milliseconds. */
const PATIENCE_MS = 120_000;

/** Options of a series of kills. */
export interface KillOptions {
  /** Serves the built page. */
  server: TestServer;
  /** Folder of the browser's data, which is kept from one browser to the next. */
  profile: string;
  /** How many browsers are killed. */
  kills: number;
  /** Chooses the moments. */
  seed: number;
  /** Called after each kill and restart, with one line on when it was and what was left. */
  onKill?: (line: string) => void;
}

/** What is wrong: something that was there before a kill is not there after it. */
export type Losses = string[];

/** Opens the page and waits until its lists are read and a model is loaded. */
export async function openAndLoad(page: Page, origin: string): Promise<void> {
  await page.goto(`${origin}/`);
  const composer = page.locator('textarea:not([placeholder="No model loaded yet"])').first();
  // A kill before a model's first answer leaves a note, and the page asks before it loads the model again.
  const reload = page.getByRole('button', { name: 'Reload model' });
  await composer.or(reload).first().waitFor({ timeout: 120_000 });
  if (await reload.isVisible()) await reload.click();
  await composer.waitFor({ timeout: 120_000 });
}

/** Waits until something is visible. @throws Error with all that the page shows instead */
export async function shown(page: Page, expected: Locator): Promise<void> {
  await expected.waitFor({ timeout: PATIENCE_MS }).catch(async (error: unknown) => {
    const words = await page.locator('main, [role=alert], [role=status]').allInnerTexts();
    throw new Error(`The page shows: ${words.join(' | ').slice(0, 3000)}`, { cause: error });
  });
}

/** Shows a new conversation. */
export async function newConversation(page: Page): Promise<void> {
  const sidebar = page.getByRole('navigation', { name: 'Conversations' });
  await sidebar.getByRole('button', { name: 'New conversation' }).click();
}

/** Sets numbers in the settings dialog, by their labels. */
export async function setNumbers(page: Page, values: Record<string, string>): Promise<void> {
  await page.getByRole('button', { name: 'Settings' }).click();
  for (const [name, value] of Object.entries(values)) {
    await page.getByRole('spinbutton', { name }).fill(value);
    await page.getByRole('spinbutton', { name }).blur();
  }
  await page.getByRole('button', { name: 'Close' }).click();
}

/** Starts the import of an address on the models page. */
export async function importFrom(page: Page, url: string): Promise<void> {
  await page.getByRole('link', { name: 'Models' }).click();
  await page.getByRole('textbox', { name: 'GGUF address' }).fill(url);
  await page.getByRole('button', { name: 'Import', exact: true }).click();
}

/**
 * Sends a message and waits until the answer has ended.
 * @param meanwhile what the user does while the model writes
 * @returns the answer as it is shown
 */
export async function ask(page: Page, message: string, meanwhile?: () => Promise<void>): Promise<string> {
  const answers = page.locator('.messages > .message.model');
  const before = await answers.count();
  await page.getByRole('textbox', { name: 'Message' }).fill(message);
  await page.getByRole('textbox', { name: 'Message' }).press('Enter');
  await meanwhile?.();
  await answers
    .nth(before)
    .getByText(/tokens\/s/)
    .waitFor({ timeout: 120_000 });
  return answers.nth(before).locator('.prose').innerText();
}
