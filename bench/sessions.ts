/**
 * What it takes to save and restore a conversation's KV cache, by its length; the profile is on disk.
 *
 *   npx tsx bench/sessions.ts [--lengths 128,512,1024]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright';
import { createServer } from 'vite';
import { ensureChromium } from '../scripts/chromium.mjs';
import { chromiumFlags } from '../scripts/chromium-flags.mjs';
import type { Round } from './sessions-page.ts';

const { values } = parseArgs({ options: { lengths: { type: 'string', default: '128,512,1024' } } });
const server = await createServer({
  configFile: false, root: new URL('..', import.meta.url).pathname, logLevel: 'error', cacheDir: '/tmp/mixtab-sessions-vite',
  server: { port: 5198, strictPort: false, hmr: false, watch: null },
});
await server.listen();
const profile = mkdtempSync(join(tmpdir(), 'mixtab-sessions-'));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: ensureChromium(), args: chromiumFlags(), headless: true, chromiumSandbox: false,
});
try {
  const page = await browser.newPage();
  page.on('pageerror', (error) => console.error(error.message));
  await page.goto(`${server.resolvedUrls?.local[0]}bench/sessions.html`);
  await page.waitForFunction(() => 'bench' in globalThis);
  const rounds = await page.evaluate(
    (lengths) => (globalThis as unknown as { bench: { run(lengths: number[]): Promise<Round[]> } }).bench.run(lengths),
    values.lengths.split(',').map(Number),
  );
  console.log('| tokens | MB | computing it, s | saving, s | restoring, s |\n|---|---|---|---|---|');
  for (const { tokens, bytes, prefillMs, saveMs, restoreMs } of rounds) {
    console.log(`| ${tokens} | ${[bytes / 1e6, prefillMs / 1e3, saveMs / 1e3, restoreMs / 1e3].map((n) => n.toFixed(n < 10 ? 2 : 0)).join(' | ')} |`);
  }
} finally {
  await browser.close();
  await server.close();
  rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}
