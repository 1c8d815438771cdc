/**
 * Conversations as files: JSON with all versions, Markdown with the path that is shown. Imported files are validated.
 * Pure.
 */
import { MixtabError } from '../../contract/errors.ts';
import {
  addTurn,
  type Conversation,
  createConversation,
  type MissingTurns,
  pathOf,
  type Turn,
} from './conversation-tree.ts';
import { generationFrom } from './generation-settings.ts';

const FORMAT = 'mixtab-conversations';
const VERSION = 1;

/** Limit for imported files, so that a hostile one cannot exhaust memory. Real conversations have far fewer turns. */
export const MAX_TURNS = 100_000;

/** All versions, settings and figures of the conversations. */
export function toJson(conversations: readonly Conversation[]): string {
  return JSON.stringify({ format: FORMAT, version: VERSION, conversations }, null, 1);
}

/**
 * Reads a file that {@link toJson} or {@link toMarkdown} wrote. The conversations get new ids, so nothing stored is
 * replaced.
 * @throws MixtabError `bad-request` if the text is not such a file
 */
export function fromFile(text: string, newId: () => string, now: number): Conversation[] {
  if (!text.trimStart().startsWith('{')) return [fromMarkdown(text, newId, now)];
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    throw unreadable('it is damaged JSON');
  }
  const file = data as { format?: unknown; version?: unknown; conversations?: unknown };
  if (file.format !== FORMAT || !Array.isArray(file.conversations)) throw unreadable('it was not exported here');
  if (file.version !== VERSION) {
    throw new MixtabError(
      'bad-request',
      `The file has version ${String(file.version).slice(0, 100)}, but this page reads version ${VERSION}.`,
      'Update mixtab and try again.',
    );
  }
  return file.conversations.map((item) => {
    const conversation = conversationFrom(item);
    if (!conversation) throw unreadable('one of its conversations is damaged');
    return { ...conversation, id: newId() };
  });
}

const unreadable = (why: string): MixtabError =>
  new MixtabError(
    'bad-request',
    `The file cannot be imported: ${why}.`,
    'Choose a .json or .md file that was exported here.',
  );

/**
 * Validates a record of the store or of a file. Unknown fields are dropped.
 * @returns undefined if it is not a conversation
 */
export function conversationFrom(data: unknown): Conversation | undefined {
  if (!isObject(data)) return undefined;
  const { id, title, kind, createdAt, changedAt, modelId, modelName, turns, chosen, seenFrom } = data;
  const generation = data.generation ?? data.writing; // its name before version 0.2
  if (typeof id !== 'string' || typeof title !== 'string' || (kind !== 'chat' && kind !== 'text')) return undefined;
  if (!isTime(createdAt) || !isTime(changedAt) || !Array.isArray(turns) || turns.length > MAX_TURNS) return undefined;
  const known = new Set<string>();
  const checked: Turn[] = [];
  for (const turn of turns) {
    const clean = turnFrom(turn);
    if (!clean || known.has(clean.id) || (clean.parent !== null && !known.has(clean.parent))) return undefined;
    known.add(clean.id);
    checked.push(clean);
  }
  const links = isObject(chosen)
    ? Object.entries(chosen).filter((link): link is [string, string] => typeof link[1] === 'string')
    : [];
  return {
    id,
    title,
    kind,
    createdAt,
    changedAt,
    ...(typeof modelId === 'string' && { modelId }),
    ...(typeof modelName === 'string' && { modelName }),
    generation: generationFrom(generation),
    turns: checked,
    chosen: Object.fromEntries(links),
    ...(isObject(seenFrom) &&
      typeof seenFrom.turn === 'string' &&
      isTime(seenFrom.offset) && { seenFrom: { turn: seenFrom.turn, offset: seenFrom.offset } }),
  };
}

function turnFrom(data: unknown): Turn | undefined {
  if (!isObject(data)) return undefined;
  const { id, parent, by, text, at, model, stats, missingBefore, isCut } = data;
  if (typeof id !== 'string' || id === '' || !(parent === null || typeof parent === 'string')) return undefined;
  if ((by !== 'user' && by !== 'model') || typeof text !== 'string' || !isTime(at)) return undefined;
  return {
    id,
    parent,
    by,
    text,
    at,
    ...(typeof model === 'string' && { model }),
    ...(isStats(stats) && { stats }),
    ...(isMissing(missingBefore) && {
      missingBefore: { parent: missingBefore.parent, count: missingBefore.count },
    }),
    ...(isCut === true && { isCut }),
  };
}

const isMissing = (data: unknown): data is MissingTurns =>
  isObject(data) && typeof data.parent === 'string' && Number.isInteger(data.count) && Number(data.count) > 0;

function isStats(data: unknown): data is Turn['stats'] & object {
  const numbers = ['promptTokens', 'tokens', 'tokensPerSecond', 'prefillMs', 'hitRate'];
  if (!isObject(data) || !(data.newTokens === undefined || Number.isFinite(data.newTokens))) return false;
  return (
    numbers.every((key) => Number.isFinite(data[key])) &&
    ['stop', 'length', 'aborted'].includes(String(data.finishReason))
  );
}

const isObject = (data: unknown): data is Record<string, unknown> => typeof data === 'object' && data !== null;
const isTime = (data: unknown): data is number => typeof data === 'number' && Number.isFinite(data) && data >= 0;

// ---------------------------------------------------------------- Markdown

const HEADINGS = { system: '## System', user: '## You', model: '## Model' } as const;

/** Notes in the body of a turn. Both begin with an underscore, and end with one. */
const EARLIER_MISSING =
  'of the turns before this one are missing: they were not in the copy that this was restored from._';
const REST_MISSING = '_The rest is missing: it was not in the copy that this was restored from._';
const EARLIER_NOTE = new RegExp(`^_([1-9]\\d{0,8}) ${EARLIER_MISSING.replace('.', '\\.')}$`);

/** Whether a line of a text would be taken for a heading or a note, if it has no backslash before it. */
const isMark = (line: string): boolean =>
  Object.values<string>(HEADINGS).includes(line) || line === REST_MISSING || EARLIER_NOTE.test(line);
const withoutBackslashes = (line: string): string => line.replace(/^\\+/, '');

/** The shown path as a readable document. {@link fromFile} reads it again, without other versions and figures. */
export function toMarkdown(conversation: Conversation): string {
  const { title, kind, modelName, generation } = conversation;
  const parts = pathOf(conversation).map((turn): [string, string] => [HEADINGS[turn.by], bodyOf(turn)]);
  if (generation.systemPrompt !== '') parts.unshift([HEADINGS.system, escapeMarks(generation.systemPrompt)]);
  const about = `mixtab ${kind}${modelName ? ` with ${modelName.replaceAll('--', '-')}` : ''}`;
  const body = parts.map(([heading, text]) => `${heading}\n\n${text}\n`).join('\n');
  return `# ${title.replace(/\s+/g, ' ')}\n\n<!-- ${about} -->\n\n${body}`;
}

/** The text of a turn, with notes about what is missing. */
function bodyOf({ text, missingBefore, isCut }: Turn): string {
  const before = missingBefore ? [`_${missingBefore.count} ${EARLIER_MISSING}`] : [];
  return [...before, escapeMarks(text), ...(isCut ? [REST_MISSING] : [])].join('\n\n');
}

function fromMarkdown(text: string, newId: () => string, now: number): Conversation {
  const lines = text.replaceAll('\r\n', '\n').split('\n');
  const starts = lines.flatMap((line, i) => (Object.values<string>(HEADINGS).includes(line) ? [i] : []));
  if (starts.length === 0) throw unreadable('it has none of the headings "## You" and "## Model"');
  const kind = /^<!-- mixtab text\b/m.test(lines.slice(0, starts[0]).join('\n')) ? 'text' : 'chat';
  let conversation = createConversation({ id: newId(), kind, generation: generationFrom(undefined) }, now);
  let parent: string | null = null;
  starts.forEach((start, i) => {
    const body = lines.slice(start + 1, starts[i + 1]);
    if (body[0] === '') body.shift();
    if (body.at(-1) === '') body.pop(); // the empty line before the next heading or at the end of the file
    if (lines[start] === HEADINGS.system) {
      conversation = { ...conversation, generation: { ...conversation.generation, systemPrompt: unescapeMarks(body) } };
      return;
    }
    const id = newId();
    conversation = addTurn(conversation, {
      id,
      parent,
      by: lines[start] === HEADINGS.user ? 'user' : 'model',
      ...fromBody(body, newId),
      at: now,
    });
    parent = id;
  });
  const title = lines.slice(0, starts[0]).find((line) => line.startsWith('# '));
  return title ? { ...conversation, title: title.slice(2) } : conversation;
}

/** Takes the notes of {@link bodyOf} out of a body. */
function fromBody(body: readonly string[], newId: () => string): Pick<Turn, 'text' | 'missingBefore' | 'isCut'> {
  const count = Number(EARLIER_NOTE.exec(body[0] ?? '')?.[1] ?? 0);
  const isCut = body.at(-1) === REST_MISSING;
  const text = body.slice(count > 0 ? 2 : 0, isCut ? -2 : undefined);
  return {
    text: unescapeMarks(text),
    ...(count > 0 && { missingBefore: { parent: newId(), count } }),
    ...(isCut && { isCut }),
  };
}

const escapeMarks = (text: string): string =>
  text
    .split('\n')
    .map((line) => (isMark(withoutBackslashes(line)) ? `\\${line}` : line))
    .join('\n');

const unescapeMarks = (lines: readonly string[]): string =>
  lines.map((line) => (line.startsWith('\\') && isMark(withoutBackslashes(line)) ? line.slice(1) : line)).join('\n');

/** Makes a file name from a title: letters, digits and hyphens, at most 60 characters. */
export function fileName(title: string, extension: string): string {
  const name = title
    .normalize('NFKC')
    .replace(/[^\p{L}\p{N}]+/gu, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 60);
  return `${name || 'conversation'}.${extension}`;
}
