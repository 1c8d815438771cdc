/** Browsers that are killed in the middle of imports and chats. `scripts/kill-browser.ts` kills as many as one likes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { killDuringChats } from '../scripts/kill/kill-chats.ts';
import { killDuringImports } from '../scripts/kill/kill-imports.ts';
import { expect, test as journey } from './fixtures.ts';

// Several starts of a browser.
journey.setTimeout(400_000);

const test = journey.extend<{ profile: string }>({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright requires a destructured object
  profile: async ({}, use) => {
    const profile = mkdtempSync(join(tmpdir(), 'mixtab-kill-'));
    await use(profile);
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  },
});

test('an import whose browser is killed loses nothing that was done, and ends as if nothing had happened', async ({
  server,
  profile,
}) => {
  const { losses, completed } = await killDuringImports({ server, profile, kills: 2, seed: 5 });
  expect(losses).toEqual([]);
  expect(completed).toBeGreaterThan(0);
});

test('a chat whose browser is killed loses nothing but the last two seconds', async ({ server, profile }) => {
  server.builtin = 'real';
  const { losses, conversations } = await killDuringChats({ server, profile, kills: 2, seed: 2 });
  expect(losses).toEqual([]);
  expect(conversations).toBe(3);
});
