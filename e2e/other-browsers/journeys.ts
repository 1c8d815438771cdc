/**
 * The journeys in browsers other than Chromium. They are steps of one visit and run in this order: a later one needs what
 * an earlier one has stored. The browser is shared by all journeys of a file; each set has an origin, and so a storage,
 * of its own.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { plainModel, startServer, type TestServer } from '../server.ts';
import { JourneyPage } from './page.ts';
import type { Tab } from './tab.ts';

const STORY = 'article[aria-label="Text"]';
const STORY_BY_MODEL = `${STORY} .by-model`;
const SCREENSHOTS = join(import.meta.dirname, '..', '..', 'test-results', 'other-browsers');

/** Starts a browser before the tests of a file and closes it after them. */
export function shareBrowser(start: () => Promise<Tab>): () => JourneyPage {
  let page: JourneyPage;
  beforeAll(async () => {
    page = new JourneyPage(await start());
    console.log(`Journeys in ${page.tab.browser}`);
  });
  afterAll(() => page?.tab.close());
  afterEach(async ({ task }) => {
    if (task.result?.state !== 'fail') return;
    mkdirSync(SCREENSHOTS, { recursive: true });
    const name = `${task.suite?.name ?? ''} ${task.name}`.replace(/[^\w]+/g, '-');
    writeFileSync(join(SCREENSHOTS, `${name}.png`), await page.tab.screenshot());
  });
  return () => page;
}

/** Starts a server of the page and one of models before the tests of a set, and writes a model to the disk. */
function shareServers(): { server: () => TestServer; models: () => TestServer; file: () => string } {
  let server: TestServer;
  let models: TestServer;
  let folder: string;
  beforeAll(async () => {
    [server, models] = await Promise.all([startServer(), startServer()]);
    folder = mkdtempSync(join(tmpdir(), 'mixtab-files-'));
    writeFileSync(join(folder, 'mine.gguf'), plainModel());
  });
  afterAll(() => {
    server.close();
    models.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return { server: () => server, models: () => models, file: () => join(folder, 'mine.gguf') };
}

let story: Promise<string> | undefined;

/** @returns 40 greedy tokens of the built-in model after the suggested opening, computed on the CPU in Chromium */
function storyInChromium(): Promise<string> {
  const options = ['--prompt', 'Once upon a time', '--max-tokens', '40', '--temperature', '0', '--compute', 'cpu'];
  const args = ['tsx', 'scripts/mixtab.ts', 'generate', '--model', 'builtin', ...options, '--json'];
  story ??= promisify(execFile)('npx', args, { cwd: join(import.meta.dirname, '..', '..') }).then(
    ({ stdout }) => (JSON.parse(stdout) as { text: string }).text,
  );
  return story;
}

const withSingleSpaces = (text: string): string => text.trim().replace(/\s+/g, ' ');

export interface Backend {
  /** What computes, as the page calls it. */
  name: 'GPU' | 'CPU';
  /** Whether the page is to choose it by itself. Otherwise it is chosen in the settings. */
  automatic: boolean;
}

/**
 * Defines the journeys.
 * @param page returns the shared browser's page
 */
export function journeys(page: () => JourneyPage, { name, automatic }: Backend): void {
  const { server, models, file } = shareServers();

  it('the first visit offers the built-in model', async () => {
    await page().tab.open(`${server().origin}/`);
    await page().find({ role: 'button', name: 'mixtab storyteller', partly: true });
    await page().find({ role: 'button', name: 'Once upon a time', partly: true });
    if (!automatic) await computeWith(page(), name);
    await page().waitForText(
      '.model-button',
      (text) => text.endsWith(`base model · ${name}`),
      `the model on the ${name}`,
    );
    await page().find({ role: 'button', name: 'Once upon a time', partly: true });
    expect(await page().text('.welcome')).toContain('a base model: it continues what you write');
    expect(await page().text('[role=alert]')).toBe('');
  });

  it('the built-in model writes the same story as on the CPU in Chromium', async () => {
    await setNumbers(page(), { 'Max answer length': '40', Temperature: '0' });
    await expectStory(page());
  });

  it('the story and its model are still there after a reload', async () => {
    const story = await page().text(STORY);
    // The end of an answer is stored a moment after it is shown.
    await page().waitFor('the stored story', async () => (await storedChats(page())).includes('length') || undefined);
    await page().tab.reload();
    await page().find({ role: 'button', name: 'Continue' });
    expect(await page().text(STORY)).toBe(story);
    expect(await page().text('.model-button')).toContain(name);
  });

  // Another number of threads gives the same tokens, to the bit, whether they share memory or not.
  it.runIf(name === 'CPU')('with two threads, which share memory, the story is the same', async () => {
    await setNumbers(page(), { Threads: '2' });
    await page().click('button', 'Settings');
    const isLoadedAgain = (text: string): boolean => text.includes('CPU with 2 threads');
    await page().waitForText('dialog[open]', isLoadedAgain, 'the model on two threads');
    await page().click('button', 'Close');
    await page().click('button', 'New conversation');
    await expectStory(page());
  });

  it('page and workers are isolated from other sites', async () => {
    const isolated = await page().tab.evaluate(
      () =>
        new Promise<boolean[]>((resolve, reject) => {
          const worker = new Worker('/isolated.worker.js', { type: 'module' });
          worker.onmessage = ({ data }: MessageEvent<boolean>) => resolve([crossOriginIsolated, data]);
          worker.onerror = () => reject(new Error('The worker did not start.'));
        }),
    );
    expect(isolated).toEqual([true, true]);
  });

  it('a chat model is imported from an address of another site and answers until it is stopped', async () => {
    await page().click('link', 'Models');
    await page().fill('textbox', 'GGUF address or Hugging Face repository', `${models().origin}/chat.gguf`);
    await page().click('button', 'Import');
    await page().find({ role: 'heading', name: 'Ask Tiny Chat' });
    await setNumbers(page(), { 'Max answer length': '4000' });
    await ask(page(), 'What can you do?');
    // The random text grows until it is stopped.
    await waitForAnswer(page(), 1, 20);
    await waitForAnswer(page(), 1, (await answers(page()))[0].length + 1);
    await page().click('button', 'Stop');
    await page().find({ role: 'button', name: 'Send' });
    expect(await page().text('.message.last .stats')).toMatch(/tokens\/s · \d+% expert hits · stopped/);
  });

  it('nothing so far has violated the policies of page and workers', async () => {
    expect(server().violations).toEqual([]);
    // The browser reports violations: this one is on purpose.
    await page().tab.evaluate(() => void document.body.append(Object.assign(new Image(), { src: 'data:,' })));
    await page().waitFor('a report', async () => server().violations.length > 0 || undefined);
    expect(server().violations[0]).toContain('img-src');
  });

  it('without the server, a reload keeps the chat, and the model answers again', async () => {
    const before = await answers(page());
    await page().tab.evaluate(async () => {
      await navigator.serviceWorker.ready;
    });
    server().close();
    await page().tab.reload();
    await page().find({ role: 'button', name: 'Send' });
    expect(await answers(page())).toEqual(before);
    await setNumbers(page(), { 'Max answer length': '12' });
    await ask(page(), 'And more?');
    await waitForAnswer(page(), 2, 5);
    await page().find({ role: 'button', name: 'Send' });
  });

  it('without the server, a local file is imported and continues a text', async () => {
    await page().click('link', 'Models');
    await chooseFile(page(), file());
    await page().find({ role: 'button', name: 'Tiny Text', partly: true });
    await page().fill('textbox', 'Your text', 'the first');
    await page().click('button', 'Continue');
    await page().waitForText(STORY, (text) => /\d+ tokens ·/.test(text), 'the figures of the continuation');
    expect((await page().text(STORY_BY_MODEL)).length).toBeGreaterThan(5);
  });
}

/** Lets the built-in model continue the suggested opening. */
async function expectStory(page: JourneyPage): Promise<void> {
  // Stories that were written before are buttons of the same name in the sidebar, which comes first.
  await page.click('button', 'Once upon a time', { partly: true, nth: -1 });
  await page.waitForText(STORY, (text) => text.includes('40 tokens'), 'the figures of 40 tokens');
  expect(await page.text(`${STORY} .by-user`)).toBe('Once upon a time');
  const expected = await storyInChromium();
  expect(expected.length).toBeGreaterThan(60);
  expect(withSingleSpaces(await page.text(STORY_BY_MODEL))).toBe(withSingleSpaces(expected));
}

/** @returns all conversations in the page's database, as JSON */
function storedChats(page: JourneyPage): Promise<string> {
  return page.tab.evaluate(
    () =>
      new Promise<string>((resolve, reject) => {
        const opening = indexedDB.open('mixtab-chats');
        opening.onerror = () => reject(opening.error);
        opening.onsuccess = () => {
          const database = opening.result;
          const reading = database.transaction('conversations').objectStore('conversations').getAll();
          reading.onsuccess = () => {
            database.close();
            resolve(JSON.stringify(reading.result));
          };
          reading.onerror = () => reject(reading.error);
        };
      }),
  );
}

async function chooseFile(page: JourneyPage, path: string): Promise<void> {
  const field = await page.waitFor('the file field', () =>
    page.tab.query(() => document.querySelector('[aria-label="GGUF file"]')),
  );
  await field.chooseFile(path);
}

/** Sets numeric settings by their labels. */
async function setNumbers(page: JourneyPage, values: Record<string, string>): Promise<void> {
  await page.click('button', 'Settings');
  for (const [name, value] of Object.entries(values)) await page.fill('spinbutton', name, value, true);
  await page.click('button', 'Close');
}

async function computeWith(page: JourneyPage, name: Backend['name']): Promise<void> {
  await page.click('button', 'Settings');
  await page.click('radio', name);
  await page.click('button', 'Close');
}

async function ask(page: JourneyPage, text: string): Promise<void> {
  const message = await page.find({ role: 'textbox', name: 'Message' });
  await message.fill(text, false);
  await message.pressEnter();
}

/** @returns the texts of the model's answers, without their figures */
function answers(page: JourneyPage): Promise<string[]> {
  return page.tab.evaluate(() =>
    [...document.querySelectorAll<HTMLElement>('.message.model .prose')].map(({ innerText }) => innerText),
  );
}

/** Waits until there are `count` answers and the last one has `length` characters. */
async function waitForAnswer(page: JourneyPage, count: number, length: number): Promise<void> {
  await page.waitFor(`answer ${count} of ${length} characters`, async () => {
    const all = await answers(page);
    return (all.length === count && all[count - 1].length >= length) || undefined;
  });
}
