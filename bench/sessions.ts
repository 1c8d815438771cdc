/**
 * Measures saving and restoring a conversation's KV cache, by its length. The profile is on disk.
 *
 *   npx tsx bench/sessions.ts [--lengths 128,512,1024]
 */
import { parseArgs } from 'node:util';
import { withBench } from './bench-page.ts';
import type { BenchPage } from './sessions-page.ts';

const { values } = parseArgs({ options: { lengths: { type: 'string', default: '128,512,1024' } } });
await withBench<BenchPage>('sessions', {}, async (call) => {
  const rounds = await call('run', values.lengths.split(',').map(Number));
  console.log('| tokens | MB | computing it, s | saving, s | restoring, s |\n|---|---|---|---|---|');
  for (const { tokens, bytes, prefillMs, saveMs, restoreMs } of rounds) {
    console.log(
      `| ${tokens} | ${[bytes / 1e6, prefillMs / 1e3, saveMs / 1e3, restoreMs / 1e3].map((n) => n.toFixed(n < 10 ? 2 : 0)).join(' | ')} |`,
    );
  }
});
