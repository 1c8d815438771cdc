/**
 * Fills the disk in the middle of an import and before an answer, and looks at what is left. Linux, as root: the
 * browser's profile is on a small file system of its own, in main memory.
 *
 *     npm run build && npx tsx scripts/full-disk.ts
 *
 * Twice, with models in the database and in private files: another program takes all space that is left, the page says
 * that the disk is full, space is freed, and the same tab imports the model. Then again, but the browser is killed on
 * the full disk, and the page continues after its restart. Then the same while the user writes. Prints how many
 * conversations are shown after each start and of how many there are copies, what the page says of them, and what became
 * of a value that was written to localStorage on the full disk. Exits with 1 if anything was lost. What the browser
 * deletes on the full disk counts as lost only if the page does not say so.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmdirSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Page } from 'playwright';
import { LONG_OPTIONS, startServer, type TestServer } from '../e2e/server.ts';
import { createSynth } from '../workers/synth/synth.ts';
import { type BrowserProcess, startBrowser } from './browser-process.ts';
import { copiedChats, isCopyOnDisk } from './kill/copied-chats.ts';
import {
  finish,
  importUnharmed,
  missing,
  NAME,
  removeModel,
  type Said,
  startImport,
  storeIn,
} from './kill/kill-imports.ts';
import { type Losses, newConversation, openAndLoad, shown } from './kill/kills.ts';
import { storedImport } from './kill/stored-import.ts';

/** Enough for the profile and the models, in bytes. */
const DISK_BYTES = 600e6;
const PATIENCE_MS = 120_000;
/** Chromium writes localStorage to the disk once per minute or more often. */
const COPIED_MS = 90_000;
/** Chromium tries to write localStorage to the disk after five seconds. */
const WRITTEN_MS = 15_000;
/** A value of the length of a long copy. */
const VALUE = { key: 'written on a full disk', units: 100_000 };
/** The first texts of two conversations, of which their titles are made. */
const FIRST = 'Long ago';
const SECOND = 'Some day';

/** A file system of its own, which can be filled. */
class SmallDisk {
  readonly folder = mkdtempSync(join(tmpdir(), 'mixtab-disk-'));
  readonly #ballast = join(this.folder, 'ballast');

  constructor() {
    const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', this.folder]);
    if (mount.status === 0) return;
    rmdirSync(this.folder);
    throw new Error(`No file system could be mounted. Run this as root, on Linux. ${mount.stderr}`);
  }

  /** Takes all space that is left, as another program would. @returns bytes taken */
  fill(): number {
    const file = openSync(this.#ballast, 'w');
    let bytes = 0;
    for (const size of [2 ** 20, 4096, 1]) {
      const piece = Buffer.alloc(size, 1);
      try {
        for (;;) bytes += writeSync(file, piece);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      }
    }
    closeSync(file);
    return bytes;
  }

  free(): void {
    const file = openSync(this.#ballast, 'w');
    ftruncateSync(file);
    closeSync(file);
  }

  remove(): void {
    spawnSync('umount', ['-l', this.folder]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/**
 * Imports until some records are said to be done, fills the disk, and waits for the end. The browser may delete the
 * page's data to gain space; then the import has to make all records again.
 * @returns what the page had said before
 */
async function importIntoFullDisk(page: Page, server: TestServer, disk: SmallDisk): Promise<Said> {
  server.bytesPerSecond = createSynth(LONG_OPTIONS).size / 8;
  await startImport(page, server);
  await shown(page, page.getByText(/ (1\d|[2-9]\d) of \d+ records/));
  const records = Number(/(\d+) of \d+ records/.exec(await page.locator('body').innerText())?.[1]);
  disk.fill();
  server.bytesPerSecond = Number.POSITIVE_INFINITY;
  const full = page.getByText(/storage is full|database cannot be used/).first();
  const imported = page.getByText(`${NAME} is imported.`);
  await shown(page, full.or(imported).first());
  const complete = await imported.isVisible();
  const words = (await (complete ? imported : full).innerText()).replaceAll('\n', ' ');
  console.log(`  ${words}`);
  const deleted = page.getByText(/The browser had deleted/);
  if (await deleted.isVisible()) console.log(`  ${(await deleted.innerText()).replaceAll('\n', ' ')}`);
  const evicted = words.includes('The browser has deleted') || (await deleted.isVisible());
  return { records: evicted ? 0 : records, complete, share: 0 };
}

/** The import of one model into a disk that is full for a while. */
async function fillDuringImport(server: TestServer, disk: SmallDisk, storage: 'indexeddb' | 'opfs'): Promise<Losses> {
  const losses: Losses = [];
  const profile = join(disk.folder, storage);
  let browser = await startBrowser(profile);
  try {
    let page = await openPage(browser, server);
    const expected = await importUnharmed(page, server);
    await useBuiltIn(page);
    await write(page, FIRST);
    await waitForCopies(profile, [FIRST]);
    await storeIn(page, storage);
    const said = await importIntoFullDisk(page, server, disk);
    await browser.kill();

    disk.free();

    browser = await startBrowser(profile);
    page = await openPage(browser, server);
    const found = await storedImport(page, NAME);
    console.log(`  with space: ${said.records} records were done, ${found?.records.length ?? 0} are stored`);
    losses.push(...missing(said, found, expected), ...(await missingChats(page, [FIRST])));
    losses.push(...(await writeOnFullDisk(page, disk)));
    await waitForCopies(profile, [FIRST, SECOND]);
    await browser.kill();

    browser = await startBrowser(profile);
    page = await openPage(browser, server);
    losses.push(...(await missingChats(page, [FIRST, SECOND])));
    if (said.complete) await removeModel(page);
    losses.push(...(await finish(page, server, expected)));
  } finally {
    await browser.kill();
  }
  return losses.map((loss) => `${storage}: ${loss}`);
}

/** The import of one model into a disk that is full for a while, which the same tab then continues or begins again. */
async function continueInTab(server: TestServer, disk: SmallDisk, storage: 'indexeddb' | 'opfs'): Promise<Losses> {
  const browser = await startBrowser(join(disk.folder, `${storage}-tab`));
  try {
    const page = await openPage(browser, server);
    const expected = await importUnharmed(page, server);
    await storeIn(page, storage);
    const said = await importIntoFullDisk(page, server, disk);
    disk.free();
    const found = await storedImport(page, NAME);
    console.log(`  with space: ${said.records} records were done, ${found?.records.length ?? 0} are stored`);
    const losses = missing(said, found, expected);
    if (said.complete) await removeModel(page);
    return [...losses, ...(await finish(page, server, expected))].map((loss) => `${storage}, same tab: ${loss}`);
  } finally {
    await browser.kill();
  }
}

/** Opens the page as one whose data the browser has promised to keep; it would delete it on a full disk. */
async function openPage({ browser, context }: BrowserProcess, { origin }: TestServer): Promise<Page> {
  const session = await browser.newBrowserCDPSession();
  await session.send('Browser.grantPermissions', { origin, permissions: ['durableStorage'] });
  const page = await context.newPage();
  await page.goto(`${origin}/embed.html`);
  if (!(await page.evaluate(() => navigator.storage.persist()))) throw new Error('The browser promises nothing.');
  // The database is not opened before the page does it.
  const copies = await copiedChats(page);
  const isThere = await page.evaluate(({ key, units }) => localStorage.getItem(key)?.length === units, VALUE);
  await openAndLoad(page, origin);
  const listed = await page.getByRole('navigation', { name: 'Conversations' }).locator('li').count();
  console.log(`  conversations at the start: ${copies.length} copied, ${listed} shown`);
  console.log(`  value that was written to localStorage on the full disk: ${isThere ? 'there' : 'not there'}`);
  const lost = page.getByRole('alert').filter({ hasText: 'The browser has lost what this page stored' });
  const words = (await lost.isVisible()) ? (await lost.innerText()).replaceAll('\n', ' ') : 'nothing was deleted';
  console.log(`  the page says: ${words}`);
  return page;
}

/** Waits until Chromium has written the copies to the disk, if it does. */
async function waitForCopies(profile: string, titles: readonly string[]): Promise<void> {
  const start = performance.now();
  const missing = (): string[] => titles.filter((title) => !isCopyOnDisk(profile, title));
  while (missing().length > 0 && performance.now() - start < COPIED_MS) await sleep(1000);
  const seconds = Math.round((performance.now() - start) / 1000);
  console.log(`  copies on the disk: ${titles.length - missing().length} of ${titles.length}, after ${seconds} s`);
}

async function useBuiltIn(page: Page): Promise<void> {
  await newConversation(page);
  await page.getByRole('link', { name: 'Models' }).click();
  await page.getByRole('button', { name: 'Use mixtab storyteller' }).click();
  await page.getByRole('heading', { name: 'Start a story' }).waitFor({ timeout: PATIENCE_MS });
}

/** Asks the model that is loaded, and waits for its answer. */
async function write(page: Page, text: string): Promise<void> {
  const box = page.getByRole('textbox', { name: /^(Message|Your text)$/ });
  await box.fill(text);
  await box.press('Enter');
  await shown(page, page.getByText(/tokens\/s/));
}

async function missingChats(page: Page, titles: readonly string[]): Promise<Losses> {
  const sidebar = page.getByRole('navigation', { name: 'Conversations' });
  const shown = await sidebar.innerText();
  return titles.filter((title) => !shown.includes(title)).map((title) => `the conversation "${title}" is lost`);
}

/** Writes on the full disk. The page must say that it is not stored, and store it once there is space. */
async function writeOnFullDisk(page: Page, disk: SmallDisk): Promise<Losses> {
  const notice = page.getByRole('alert').filter({ hasText: 'The disk is full, so your latest changes are not saved' });
  await newConversation(page);
  await write(page, SECOND);
  // The database has a little space of its own, so the first writes may still succeed.
  for (let attempt = 0; !(await notice.isVisible()); attempt++) {
    if (attempt === 30) return ['nothing was said about a conversation on a full disk'];
    disk.fill();
    await newConversation(page);
    await write(page, `Text ${attempt} ${'and so on '.repeat(60)}`);
    await sleep(1000);
  }
  console.log(`  ${(await notice.innerText()).replaceAll('\n', ' ')}`);
  disk.fill();
  await page.evaluate(({ key, units }) => localStorage.setItem(key, 'x'.repeat(units)), VALUE);
  await sleep(WRITTEN_MS);
  disk.free();
  const again = notice.getByRole('button', { name: 'Try again' });
  for (let waited = 0; await notice.isVisible(); waited++) {
    if (waited === 60) return ['what was written on a full disk was not stored afterwards'];
    await again.click({ timeout: 1000 }).catch(() => {});
    await sleep(1000);
  }
  return [];
}

const losses: Losses = [];
const disk = new SmallDisk();
const server = await startServer();
try {
  for (const storage of ['indexeddb', 'opfs'] as const) {
    console.log(`${storage}, without a restart`);
    losses.push(...(await continueInTab(server, disk, storage)));
    disk.free();
    console.log(storage);
    losses.push(...(await fillDuringImport(server, disk, storage)));
    disk.free();
  }
} finally {
  server.close();
  disk.remove();
}
console.log(losses.length > 0 ? losses.join('\n') : 'Nothing was lost.');
process.exit(losses.length > 0 ? 1 : 0);
