/** Kills browsers in the middle of imports, and looks at what is left after each restart. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Page } from 'playwright';
import { LONG_OPTIONS, type TestServer } from '../../e2e/server.ts';
import { BlobByteSource } from '../../workers/import/byte-source.ts';
import { importSource } from '../../workers/import/testing.ts';
import { MemoryStore } from '../../workers/store/memory-store.ts';
import { createSynth } from '../../workers/synth/synth.ts';
import { type BrowserProcess, startBrowser } from '../browser-process.ts';
import { Random } from '../random.ts';
import {
  ask,
  importFrom,
  type KillOptions,
  type Losses,
  newConversation,
  openAndLoad,
  setNumbers,
  shown,
} from './kills.ts';
import { storedImport } from './stored-import.ts';

/** The model that is imported. */
export const { name: NAME } = LONG_OPTIONS;
const PATH = '/long.gguf';
const QUESTION = 'What is there?';
/** Settings with which a question has one answer. */
const DETERMINISTIC = { Temperature: '0', 'Max answer length': '30' };
/** After the byte at which a visit ends, the kill waits up to this time, in milliseconds: for writes, and the end. */
const MAX_DELAY_MS = 250;
/** Rates of a download that is never killed: the whole file in between 8 and 1/8 seconds, or as fast as possible. */
const SLOWEST_SECONDS = 8;

/** How long nothing may happen, in milliseconds. */
const PATIENCE_MS = 120_000;

/** What the page said of the import before a kill. */
export interface Said {
  records: number;
  complete: boolean;
  /** How much of the file was sent until then, in this visit. */
  share: number;
}

/** What an import that was never killed makes of the file. */
export interface Expected {
  id: string;
  records: [key: string, sha256: string][];
  answer: string;
}

/** Kills `kills` browsers in the middle of imports of one file, into IndexedDB and into private files by turns. */
export async function killDuringImports(options: KillOptions): Promise<{ losses: Losses; completed: number }> {
  const { server, profile, kills, seed, onKill } = options;
  const random = new Random(seed);
  const losses: Losses = [];
  const size = createSynth(LONG_OPTIONS).size;
  let expected: Expected | undefined;
  let said: Said = { records: 0, complete: false, share: 0 };
  let completed = 0;
  for (let kill = 0; kill <= kills; kill++) {
    const running = await startBrowser(profile);
    try {
      const page = await running.context.newPage();
      await openAndLoad(page, server.origin);
      expected ??= await importUnharmed(page, server);
      const found = await storedImport(page, NAME);
      const lost = missing(said, found, expected);
      losses.push(...lost.map((loss) => `kill ${kill}: ${loss}`));
      if (found?.complete) completed++;
      if (kill > 0)
        onKill?.(
          `kill ${kill}: after ${(100 * said.share).toFixed(0)} % of the file, ${said.records} records were done, ${found?.records.length ?? 0} are stored, ${lost.length} losses`,
        );
      if (found?.complete) await removeModel(page);
      if (kill === kills) {
        losses.push(...(await finish(page, server, expected)));
        completed++;
      } else {
        if (!found || found.complete) await storeIn(page, completed % 2 === 0 ? 'indexeddb' : 'opfs');
        server.bytesPerSecond = (size / SLOWEST_SECONDS) * 2 ** random.below(7);
        const until = { bytes: random.fraction() * size, delayMs: random.fraction() * MAX_DELAY_MS };
        said = await importUntil(running, page, server, until);
        if (found && !found.complete) said.records = Math.max(said.records, found.records.length);
      }
    } finally {
      await running.kill();
    }
  }
  return { losses, completed };
}

/** @returns what the page had said and the store does not hold */
export function missing(said: Said, found: Awaited<ReturnType<typeof storedImport>>, expected: Expected): Losses {
  const losses: Losses = [];
  if (said.complete && !found?.complete) losses.push('the model was complete, and is not listed');
  if (found && found.id !== expected.id) losses.push('it has another id');
  const stored = found?.records.length ?? 0;
  if (stored < said.records) losses.push(`${said.records} records were done, and ${stored} are stored`);
  for (const key of found?.bad ?? []) losses.push(`record ${key} is listed, and its bytes are wrong`);
  const hashes = new Map(expected.records);
  for (const [key, sha256] of found?.records ?? [])
    if (hashes.get(key) !== sha256) losses.push(`record ${key} differs from that of an import that was not killed`);
  return losses;
}

/** Imports the file without a kill, asks the model, and deletes it. The ids and hashes come from an import in Node. */
export async function importUnharmed(page: Page, server: TestServer): Promise<Expected> {
  const file = createSynth(LONG_OPTIONS);
  const store = new MemoryStore();
  const { id } = await importSource(store, new BlobByteSource(new Blob([file.read(0, file.size)]), PATH.slice(1)));
  const manifest = await store.getManifest(id);
  server.bytesPerSecond = Number.POSITIVE_INFINITY;
  await importFrom(page, `${server.origin}${PATH}`);
  await shown(page, page.getByRole('heading', { name: `Ask ${NAME}` }));
  await setNumbers(page, DETERMINISTIC);
  const answer = await ask(page, QUESTION);
  await removeModel(page);
  return { id, records: manifest!.records.map(({ key, sha256 }) => [key, sha256]), answer };
}

/** Starts or continues the import, and kills the browser at a moment of it. @returns what the page had said */
async function importUntil(
  { kill }: BrowserProcess,
  page: Page,
  server: TestServer,
  until: { bytes: number; delayMs: number },
): Promise<Said> {
  const said: Said = { records: 0, complete: false, share: 0 };
  await page.exposeFunction('sayImport', (records: number, complete: boolean) => {
    said.records = Math.max(said.records, records);
    said.complete ||= complete;
  });
  await page.evaluate(sayProgress, NAME);
  const startedAt = server.bytesSent;
  const stopAt = startedAt + until.bytes;
  await startImport(page, server);
  for (let waited = 0; !said.complete && server.bytesSent < stopAt; waited += 5) {
    if (waited > PATIENCE_MS) throw new Error(`The import stands still: ${await page.locator('body').innerText()}`);
    await sleep(5);
  }
  await sleep(until.delayMs);
  await kill();
  said.share = (server.bytesSent - startedAt) / createSynth(LONG_OPTIONS).size;
  return said;
}

/** Runs in the page: reports what it says of the import. */
function sayProgress(name: string): void {
  const { sayImport } = globalThis as unknown as { sayImport: (records: number, complete: boolean) => void };
  let last = '';
  setInterval(() => {
    const text = document.body.textContent ?? '';
    const records = /(\d+) of \d+ records/.exec(text)?.[1] ?? '0';
    const complete = text.includes(`${name} is imported.`);
    if (`${records} ${complete}` === last) return;
    last = `${records} ${complete}`;
    sayImport(Number(records), complete);
  }, 20);
}

/** Continues the import if the page offers it, and else starts it. */
export async function startImport(page: Page, server: TestServer): Promise<void> {
  await newConversation(page);
  await page.getByRole('link', { name: 'Models' }).click();
  await page.getByRole('list', { name: 'Stored models' }).getByRole('listitem').first().waitFor();
  const proceed = page.getByRole('button', { name: `Continue import of ${NAME}` });
  if (await proceed.isVisible()) await proceed.click();
  else await importFrom(page, `${server.origin}${PATH}`);
}

/** Lets the import end, and compares the model and its answer with one that was never killed. */
export async function finish(page: Page, server: TestServer, expected: Expected): Promise<Losses> {
  server.bytesPerSecond = Number.POSITIVE_INFINITY;
  await startImport(page, server);
  await shown(page, page.getByRole('heading', { name: `Ask ${NAME}` }));
  const found = await storedImport(page, NAME);
  const losses = missing({ records: expected.records.length, complete: true, share: 1 }, found, expected);
  await setNumbers(page, DETERMINISTIC); // the browser may have deleted the settings
  const answer = await ask(page, QUESTION);
  if (answer !== expected.answer) losses.push(`the answer is ${answer} instead of ${expected.answer}`);
  return losses.map((loss) => `at the end: ${loss}`);
}

export async function storeIn(page: Page, storage: 'indexeddb' | 'opfs'): Promise<void> {
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('combobox', { name: 'Store new models in' }).selectOption(storage);
  await page.getByRole('button', { name: 'Close' }).click();
}

export async function removeModel(page: Page): Promise<void> {
  await page.getByRole('link', { name: 'Models' }).click();
  const remove = page.getByRole('button', { name: `Delete ${NAME}` });
  await remove.click();
  await remove.click();
  await remove.waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Back to chat' }).click();
}
