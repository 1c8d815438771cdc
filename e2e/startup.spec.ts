import { gzipSync } from 'node:zlib';
import { expect, test } from './fixtures.ts';

/** Script that the page may need before a model is chosen, gzipped. */
const LIMIT_BYTES = 200_000;

test.use({ serviceWorkers: 'block' }); // what it fetches for later is not what the start waits for

test('the page starts with less than 200 kB of script, its workers included', async ({ page, server }) => {
  const scripts = new Map<string, Promise<Buffer>>();
  page.on('response', (response) => {
    if (/\.js($|\?)/.test(response.url())) scripts.set(response.url(), response.body());
  });
  await page.route(/builtin\.gguf/, (route) => route.abort());
  await page.goto(`${server.origin}/`);
  await expect(page.getByRole('alert')).toBeVisible(); // no model came: all that starts without one has started
  const bodies = await Promise.all(scripts.values());
  const names = [...scripts.keys()].map((url) => url.slice(url.lastIndexOf('/') + 1));
  expect(names.join()).toMatch(/index-.*import\.worker-|import\.worker-.*index-/);
  expect(names.join()).toContain('engine.worker-');
  const bytes = bodies.reduce((sum, body) => sum + gzipSync(body, { level: 9 }).byteLength, 0);
  console.log(`start-up script: ${bytes} bytes gzipped, of ${names.length} files`);
  expect(bytes).toBeLessThan(LIMIT_BYTES);
  expect(names.join()).not.toMatch(/markdown-|highlight-|grammar/);
});
