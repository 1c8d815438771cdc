/**
 * `npm start [-- --port N] [--open] [--dev]`: installs dependencies and builds if needed, serves the page and prints
 * its address. `--open` opens it in a Chromium with WebGPU, on the software adapter if there is no GPU. `--dev` serves
 * the sources and reloads the page when they change.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBuild } from './build.mjs';
import { ensureChromium } from './chromium.mjs';
import { chromiumFlags } from './chromium-flags.mjs';
import { ensureDependencies, ROOT } from './dependencies.mjs';
import { readOptions } from './options.mjs';

const { values } = readOptions(
  { options: { port: { type: 'string', default: '4173' }, open: { type: 'boolean' }, dev: { type: 'boolean' } } },
  'npm start, or npm start -- with --port NUMBER, --open or --dev',
);
const port = Number(values.port);
if (!Number.isInteger(port) || port < 0 || port > 65535) {
  process.stderr.write(`--port ${values.port} is not a port number. Use one from 0 to 65535.\n`);
  process.exit(2);
}

ensureDependencies();
const address = values.dev ? await serveSources() : await serveBuild();
console.log(`mixtab is at ${address}`);
if (values.open) openPage(address);

async function serveBuild() {
  ensureBuild();
  const { preview } = await import('vite');
  const server = await preview({ root: ROOT, preview: { port, host: 'localhost' } });
  return server.resolvedUrls.local[0];
}

async function serveSources() {
  const { createServer } = await import('vite');
  const server = await createServer({ root: ROOT, server: { port, host: 'localhost' } });
  await server.listen();
  return server.resolvedUrls.local[0];
}

function openPage(url) {
  // Without a display Chromium runs, but shows no window.
  const headless = process.platform === 'linux' && !process.env.DISPLAY && !process.env.WAYLAND_DISPLAY;
  if (headless) process.stderr.write('There is no display, so Chromium opens the page without a window.\n');
  const profile = mkdtempSync(join(tmpdir(), 'mixtab-profile-'));
  const browser = spawn(
    ensureChromium(),
    [...chromiumFlags({ headless }), `--user-data-dir=${profile}`, ...(headless ? ['--headless=new'] : []), url],
    { stdio: 'ignore' },
  );
  const end = () => {
    browser.kill();
    process.exit();
  };
  process.on('SIGINT', end);
  process.on('SIGTERM', end);
  process.on('exit', () => rmSync(profile, { recursive: true, force: true, maxRetries: 3 }));
}
