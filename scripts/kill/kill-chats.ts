/** Kills browsers in the middle of chats, and looks at what is left after each restart. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Page } from 'playwright';
import type { Conversation } from '../../src/page/state/conversation-tree.ts';
import { PRESETS } from '../../src/page/state/generation-settings.ts';
import type { Settings } from '../../src/page/state/settings.ts';
import { startBrowser } from '../browser-process.ts';
import { Random } from '../random.ts';
import { type ChatSample, lettersOf, sampleChat } from './chat-sampler.ts';
import { ask, type KillOptions, type Losses, newConversation, openAndLoad, setNumbers } from './kills.ts';

/** What may be lost: changes of the last two seconds. */
const MAY_BE_LOST_MS = 2000;
/** A kill comes within this time after the user has begun to chat. It is time for two or three answers. */
const VISIT_MS = 9000;
const MS_PER_TOKEN = 50;
const ANSWER_TOKENS = 60;

/** What is stored of the page's own data. */
interface StoredPage {
  conversations: Conversation[];
  settings: Partial<Settings>;
}

/** How much a kill has cost. */
interface Cost {
  losses: Losses;
  /** Age of the oldest change that is lost, in milliseconds. */
  lostMs: number;
}

/** Kills `kills` browsers in the middle of chats with the built-in model. */
export async function killDuringChats(
  options: KillOptions,
): Promise<{ losses: Losses; worstMs: number; conversations: number; busyKills: number }> {
  const { server, profile, kills, seed, onKill } = options;
  const random = new Random(seed);
  server.msPerToken = MS_PER_TOKEN;
  const losses: Losses = [];
  let before: StoredPage = { conversations: [], settings: {} };
  let samples: ChatSample[] = [];
  let worstMs = 0;
  let busyKills = 0;
  for (let kill = 0; kill <= kills; kill++) {
    const { context, kill: killBrowser } = await startBrowser(profile);
    try {
      const page = await context.newPage();
      await openAndLoad(page, server.origin);
      if (kill === 0) await prepare(page);
      const after = await readStored(page);
      const cost = compare(before, samples, after);
      losses.push(...cost.losses.map((loss) => `kill ${kill}: ${loss}`));
      losses.push(...(await unshown(page, after)).map((loss) => `after kill ${kill}: ${loss}`));
      losses.push(...(await lostDraft(page, samples)).map((loss) => `kill ${kill}: ${loss}`));
      worstMs = Math.max(worstMs, cost.lostMs);
      const { busy = false, messages = [], at = 0 } = samples.at(-1) ?? {};
      if (busy) busyKills++;
      if (kill > 0)
        onKill?.(
          `kill ${kill}: after ${(at / 1000).toFixed(1)} s, ${messages.length} messages, ` +
            `${busy ? 'in an answer' : 'between answers'}; lost the last ${cost.lostMs.toFixed(0)} ms, ${cost.losses.length} losses`,
        );
      before = after;
      if (kill < kills) samples = await chatUntil(page, kill, random, killBrowser);
    } finally {
      await killBrowser();
    }
  }
  return { losses, worstMs, conversations: before.conversations.length, busyKills };
}

/** The built-in model becomes a chat model, with answers of a fixed length. One chat exists from the beginning. */
async function prepare(page: Page): Promise<void> {
  await page.getByRole('link', { name: 'Models' }).click();
  const card = page.getByRole('listitem').filter({ hasText: 'mixtab storyteller' });
  await card.getByText('Details').click();
  await card.getByRole('combobox', { name: 'Chat format' }).selectOption('ChatML');
  await page.getByRole('button', { name: 'Back to chat' }).click();
  await page.getByRole('textbox', { name: 'Message' }).waitFor();
  await setNumbers(page, { 'Max answer length': String(ANSWER_TOKENS) });
  await ask(page, 'The first message of all');
}

/** Chats, and kills the browser at a random moment of it. @returns what the page showed */
async function chatUntil(page: Page, visit: number, random: Random, kill: () => Promise<void>): Promise<ChatSample[]> {
  const killAfter = random.fraction() * VISIT_MS;
  let killed = false;
  await newConversation(page);
  const samples = await sampleChat(page);
  let failure: unknown;
  const chat = chatForEver(page, visit, random).catch((error: unknown) => {
    if (!killed) failure = error;
  });
  while (!failure && (samples.at(-1)?.at ?? 0) < killAfter) await sleep(5);
  killed = true;
  await kill();
  await chat;
  if (failure) throw failure;
  return samples;
}

/** Changes settings and sends messages, as a user does, until the browser is gone. */
async function chatForEver(page: Page, visit: number, random: Random): Promise<never> {
  for (let n = 1; ; n++) {
    await page.getByRole('combobox', { name: 'Sampling preset' }).selectOption(random.pick(PRESETS).name);
    await ask(page, `Message ${n} of visit ${visit}`, async () => {
      await page.getByRole('textbox', { name: 'Message' }).fill(`Half a thought, ${n} of visit ${visit}`);
    });
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByRole('combobox', { name: 'Appearance' }).selectOption(random.pick(['Dark', 'Light', 'System']));
    await page.getByRole('button', { name: 'Close' }).click();
  }
}

/** Compares what the page showed before a kill with what is stored after it. */
function compare(before: StoredPage, samples: readonly ChatSample[], after: StoredPage): Cost {
  const losses: Losses = [];
  for (const conversation of before.conversations) {
    const same = after.conversations.find(({ id }) => id === conversation.id);
    if (JSON.stringify(same) !== JSON.stringify(conversation)) losses.push(`"${conversation.title}" has changed`);
  }
  const endedAt = samples.at(-1)?.at ?? 0;
  const kept = samples.findLastIndex((sample) => lostOf(sample, after).length === 0);
  const lostMs = kept === samples.length - 1 ? 0 : endedAt - (samples[kept]?.at ?? 0);
  const mustBeThere = samples.findLast(({ at }) => at <= endedAt - MAY_BE_LOST_MS);
  if (mustBeThere) losses.push(...lostOf(mustBeThere, after));
  losses.push(...lostSettings(samples, after));
  return { losses, lostMs };
}

/** @returns what of a sample's messages is not stored */
function lostOf({ messages }: ChatSample, { conversations }: StoredPage): Losses {
  if (messages.length === 0) return [];
  const turns = conversations.find(({ turns }) => turns[0]?.text === messages[0].text)?.turns ?? [];
  return messages.flatMap(({ by, text }, i) => {
    if (text === '') return []; // an answer without a first word
    const stored = turns[i]?.by === by ? turns[i].text : '';
    const isThere = by === 'user' ? stored === text : lettersOf(stored).startsWith(text);
    return isThere ? [] : [`message ${i + 1} by the ${by} was "${text}", and "${stored}" is stored`];
  });
}

/** The samples of the last two seconds, and the one before; none if the page was not sampled for so long. */
function recentOf(samples: readonly ChatSample[]): readonly ChatSample[] {
  const endedAt = samples.at(-1)?.at ?? 0;
  const from = samples.findLastIndex(({ at }) => at <= endedAt - MAY_BE_LOST_MS);
  return from < 0 ? [] : samples.slice(from);
}

/** The composer of the newest conversation may have the text of two seconds before the kill, or any later one. */
async function lostDraft(page: Page, samples: readonly ChatSample[]): Promise<Losses> {
  const recent = recentOf(samples);
  if (recent.length === 0 || recent[0].messages.length === 0) return [];
  const draft = await page.getByRole('textbox', { name: 'Message' }).inputValue();
  const drafts = recent.flatMap((sample) => [sample.draft, ...sample.messages.map(({ text }) => text)]);
  return drafts.includes(draft) ? [] : [`"${recent[0].draft}" was typed, and "${draft}" is left`];
}

/** Settings may have the value of two seconds before the kill, or any later one. */
function lostSettings(samples: readonly ChatSample[], { conversations, settings }: StoredPage): Losses {
  const recent = recentOf(samples);
  const last = recent.at(-1);
  if (!last) return [];
  const losses: Losses = [];
  const appearance = settings.appearance ?? 'system';
  const shown = recent.map((sample) => sample.appearance || 'system');
  if (!shown.includes(appearance)) losses.push(`the appearance was ${shown[0]}, and ${appearance} is stored`);
  const presets = recent.map(({ preset }) => PRESETS.find(({ name }) => name === preset)?.sampling.temperature);
  const conversation = conversations.find(({ turns }) => turns[0]?.text === last.messages[0]?.text);
  for (const stored of [settings.chatGeneration?.temperature, conversation?.generation.temperature])
    if (stored !== undefined && !presets.includes(stored))
      losses.push(`the temperature was ${presets[0]}, and ${stored} is stored`);
  return losses;
}

/** @returns stored conversations that the page does not list, and the newest one if it is not shown in full */
async function unshown(page: Page, { conversations }: StoredPage): Promise<Losses> {
  const list = page.getByRole('navigation', { name: 'Conversations' }).getByRole('list').locator('button.open');
  const titles = new Set(await list.evaluateAll((all) => all.map((button) => button.getAttribute('title'))));
  const missing = conversations
    .filter(({ title }) => !titles.has(title))
    .map(({ title }) => `"${title}" is not listed`);
  const [newest] = conversations.toSorted((a, b) => b.changedAt - a.changedAt);
  await list.and(page.getByTitle(newest.title, { exact: true })).click();
  const messages = page.locator('.messages > .message');
  await messages.nth(newest.turns.length - 1).waitFor();
  const shown = await messages.evaluateAll((all) =>
    all.map((item) => item.querySelector('.bubble, .prose')?.textContent ?? ''),
  );
  const same = newest.turns.every(({ text }, i) => lettersOf(shown[i]) === lettersOf(text));
  return same ? missing : [...missing, `"${newest.title}" is shown as ${JSON.stringify(shown)}`];
}

/** Reads conversations and settings past the page's own code. The page has to be open: it creates the databases. */
function readStored(page: Page): Promise<StoredPage> {
  return page.evaluate(async () => {
    const readAll = (database: string, objectStore: string): Promise<unknown[]> =>
      new Promise((resolve, reject) => {
        const opening = indexedDB.open(database);
        opening.onerror = () => reject(opening.error);
        opening.onsuccess = () => {
          const request = opening.result.transaction(objectStore).objectStore(objectStore).getAll();
          request.onerror = () => reject(request.error);
          request.onsuccess = () => {
            opening.result.close();
            resolve(request.result);
          };
        };
      });
    const conversations = (await readAll('mixtab-chats', 'conversations')) as Conversation[];
    const settings = (await readAll('keyval-store', 'keyval')) as (Partial<Settings> & { appearance?: string })[];
    return {
      conversations: conversations.filter((record) => 'turns' in record),
      settings: settings.find((record) => 'chatGeneration' in record || 'lastModelId' in record) ?? {},
    };
  });
}
