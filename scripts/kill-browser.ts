/**
 * Kills browsers (SIGKILL) at random moments, and looks at what is left after each restart.
 *
 *     npm run build && npx tsx scripts/kill-browser.ts [import] [chat] [--times 20] [--seed N]
 *
 * Of imports, nothing may be lost that the page said was done; of chats, nothing but the last two seconds. Prints a line
 * for each kill, and the seed, which repeats the same moments. Exits with 1 if more was lost.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startServer } from '../e2e/server.ts';
import { killDuringChats } from './kill/kill-chats.ts';
import { killDuringImports } from './kill/kill-imports.ts';
import type { Losses } from './kill/kills.ts';
import { readOptions } from './options.mjs';

async function killAll(kind: string, kills: number, seed: number): Promise<Losses> {
  const server = await startServer();
  const profile = mkdtempSync(join(tmpdir(), 'mixtab-kill-'));
  try {
    const options = { server, profile, kills, seed, onKill: (line: string) => console.log(line) };
    if (kind === 'import') {
      const { losses, completed } = await killDuringImports(options);
      console.log(`${kills} kills of ${completed} imports: ${losses.length} losses`);
      return losses;
    }
    const { losses, worstMs, conversations, busyKills } = await killDuringChats(options);
    console.log(
      `${kills} kills of chats, ${busyKills} of them in an answer: ${losses.length} losses, at worst the last ` +
        `${(worstMs / 1000).toFixed(1)} s; ${conversations} conversations in the end`,
    );
    return losses;
  } finally {
    server.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

async function main(): Promise<void> {
  const { values, positionals } = readOptions(
    { options: { times: { type: 'string', default: '20' }, seed: { type: 'string' } }, allowPositionals: true },
    'npm run kill -- with --times NUMBER, --seed NUMBER, import or chat',
  );
  const seed = Number(values.seed ?? Math.floor(Math.random() * 1e6));
  const kinds = positionals.length > 0 ? positionals : ['import', 'chat'];
  for (const kind of kinds) {
    console.log(`${kind}: seed ${seed}`);
    const losses = await killAll(kind, Number(values.times), seed);
    for (const loss of losses) console.error(loss);
    if (losses.length > 0) process.exitCode = 1;
  }
}

await main();
process.exit();
