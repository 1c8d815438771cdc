/**
 * How fast records come out of the browser's stores, as the engine reads them and in bare loops, in one run.
 *
 *   npx tsx bench/store.ts [--records 8] [--megabytes 99] [--rounds 4]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright';
import { createServer } from 'vite';
import { ensureChromium } from '../scripts/chromium.mjs';
import { chromiumFlags } from '../scripts/chromium-flags.mjs';
import type { BenchPage } from './store-page.ts';

const { values } = parseArgs({
  options: {
    records: { type: 'string', default: '8' },
    megabytes: { type: 'string', default: '99' },
    rounds: { type: 'string', default: '4' },
  },
});

const server = await createServer({
  configFile: false, root: new URL('..', import.meta.url).pathname, logLevel: 'error', cacheDir: '/tmp/mixtab-store-vite',
  server: { port: 5197, strictPort: false, hmr: false, watch: null },
});
await server.listen();
// A profile on disk: without one, both stores would be in memory.
const profile = mkdtempSync(join(tmpdir(), 'mixtab-store-'));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: ensureChromium(), args: chromiumFlags(), headless: true, chromiumSandbox: false,
});
try {
  const page = await browser.newPage();
  page.on('pageerror', (error) => console.error(error.message));
  await page.goto(`${server.resolvedUrls?.local[0]}bench/store.html`);
  await page.waitForFunction(() => 'bench' in globalThis);
  const { write, results } = await page.evaluate(
    ([count, bytes, rounds]) => (globalThis as unknown as { bench: BenchPage }).bench.run(count, bytes, rounds),
    [Number(values.records), Number(values.megabytes) * 1e6, Number(values.rounds)] as const,
  );
  const best = (name: string): number => Math.max(...results[name]);
  const bare = Math.max(best('IndexedDB bare, 1 at once'), best('IndexedDB bare, 2 at once'), best('IndexedDB bare, 4 at once'));
  console.log('| reading | GB/s, best round | all rounds | to the best bare IndexedDB loop |\n|---|---|---|---|');
  for (const [name, rates] of Object.entries(results)) {
    console.log(`| ${name} | ${best(name).toFixed(2)} | ${rates.map((rate) => rate.toFixed(2)).join(' ')} | ${(best(name) / bare).toFixed(2)} |`);
  }
  console.log(`Writing: IndexedDB ${write.indexeddb.toFixed(2)} GB/s, OPFS ${write.opfs.toFixed(2)} GB/s.`);
} finally {
  await browser.close();
  await server.close();
  rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}
