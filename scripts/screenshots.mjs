/**
 * `npm run screenshots`: builds and serves the page, lets the built-in model write a story, and writes the pictures of
 * the README: docs/images/chat.png (the story) and docs/images/experts.png (the expert cache after it).
 */
import { mkdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { chromium } from 'playwright';
import { preview } from 'vite';
import { ensureBuild } from './build.mjs';
import { ensureChromium } from './chromium.mjs';
import { chromiumFlags } from './chromium-flags.mjs';
import { ROOT } from './dependencies.mjs';

const IMAGES = join(ROOT, 'docs', 'images');
const VIEWPORT = { width: 1280, height: 800 };
const COLOR_SCHEME = 'dark';
/** Keeps the repository small. */
const MAX_BYTES = 200_000;

/** The same seed gives the same story on the same adapter. At this length, it ends with a sentence. */
const GENERATION = { Seed: '12', 'Max answer length': '248' };
/** Less GPU memory than the built-in model needs, so that the grid shows experts in all three places. */
const BUDGETS = { 'GPU memory (MB)': '36', 'RAM (MB)': '3' };

/** Sets numbers in the settings dialog, by their labels. */
async function setNumbers(page, values) {
  await page.getByRole('button', { name: 'Settings' }).click();
  for (const [name, value] of Object.entries(values)) {
    await page.getByRole('spinbutton', { name }).fill(value);
    await page.getByRole('spinbutton', { name }).blur();
  }
  await page.getByRole('button', { name: 'Close' }).click();
}

/** Without a real GPU the CPU computes, which keeps experts in two places only. */
async function computeWithGpu(page) {
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('radio', { name: 'GPU', exact: true }).check();
  await page.getByRole('button', { name: 'Close' }).click();
}

async function writeStory(page) {
  const opening = page.getByRole('main').getByRole('button', { name: 'Once upon a time' });
  await opening.click({ timeout: 120_000 });
  await page.getByText(/tokens\/s/).waitFor({ timeout: 300_000 });
}

async function save(page, name) {
  const path = join(IMAGES, name);
  await page.mouse.move(0, 0); // no tooltip
  await page.screenshot({ path, animations: 'disabled' });
  const { size } = statSync(path);
  console.log(`${relative(ROOT, path)}: ${Math.round(size / 1000)} kB`);
  if (size > MAX_BYTES) throw new Error(`${name} has ${size} bytes. Keep it below ${MAX_BYTES}.`);
}

async function takeScreenshots(page) {
  await page.getByRole('button', { name: 'Once upon a time' }).waitFor({ timeout: 120_000 });
  await setNumbers(page, GENERATION);
  await writeStory(page);
  await save(page, 'chat.png');

  await computeWithGpu(page);
  await setNumbers(page, BUDGETS);
  await page.getByRole('button', { name: 'New conversation' }).first().click();
  await writeStory(page);
  await page.getByRole('link', { name: 'Experts', exact: true }).click();
  await page.getByRole('navigation', { name: 'Experts' }).getByRole('link', { name: 'Live' }).click();
  await page.locator('.expert-map .cell').first().waitFor();
  await save(page, 'experts.png');
}

ensureBuild();
mkdirSync(IMAGES, { recursive: true });
const server = await preview({ root: ROOT, preview: { port: 0, host: 'localhost' } });
const browser = await chromium.launch({ executablePath: ensureChromium(), args: chromiumFlags() });
try {
  const page = await browser.newPage({ viewport: VIEWPORT, deviceScaleFactor: 1, colorScheme: COLOR_SCHEME });
  await page.goto(server.resolvedUrls.local[0]);
  await takeScreenshots(page);
} finally {
  await browser.close();
  await server.close();
}
