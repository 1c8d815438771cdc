/** How much script the page loads at its start. */
import { gzipSync } from 'node:zlib';
import { expect, test } from './fixtures.ts';

/** Limit for the gzipped script that the page loads before it has a model. */
const LIMIT_BYTES = 200_000;
/** Code of a backend, which is fetched when the engine has arrived, and what the backends share. */
const BACKEND = /\/(load-cpu-compute|load-gpu-model|waves|repack)-/;

test('the page starts with less than 200 kB of script, including its workers', async ({ page, server }) => {
  const scripts = new Map<string, Promise<Buffer>>();
  page.on('response', (response) => {
    if (/\.js($|\?)/.test(response.url())) scripts.set(response.url(), response.body());
  });
  await page.route(/builtin\.gguf/, (route) => route.fulfill({ status: 404 }));
  await page.goto(`${server.origin}/`);
  // Loading the model has failed, so everything that starts without one has started.
  await expect(page.getByRole('alert')).toBeVisible();
  // The engine is fetched meanwhile. What computes follows after it, sooner or later.
  const ofEngine = () => [...scripts.keys()].some((url) => url.includes('/engine-code-'));
  await expect.poll(ofEngine).toBe(true);
  for (const url of scripts.keys()) if (BACKEND.test(url)) scripts.delete(url);
  const bodies = await Promise.all(scripts.values());
  const names = [...scripts.keys()].map((url) => url.slice(url.lastIndexOf('/') + 1));
  expect(names.join()).toMatch(/index-.*import\.worker-|import\.worker-.*index-/);
  expect(names.join()).toContain('engine.worker-');
  const bytes = bodies.reduce((sum, body) => sum + gzipSync(body, { level: 9 }).byteLength, 0);
  console.log(`start-up script: ${bytes} bytes gzipped, of ${names.length} files`);
  expect(bytes).toBeLessThan(LIMIT_BYTES);
  expect(names.join()).not.toMatch(/markdown-|highlight-|grammar|xxh64/);
});
