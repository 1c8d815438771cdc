/**
 * The settings of the page, kept in IndexedDB. Each conversation also has generation settings of its own
 * (generation-settings.ts).
 */
import { signal } from '@preact/signals';
import type { ChatFormat, ComputeKind, LoadRequest, LossyOptions } from '../../contract/engine-api.ts';
import type { ImportOptions, StorageBackend } from '../../contract/import-api.ts';
import { Database } from './database.ts';
import { defaultGeneration, type GenerationSettings } from './generation-settings.ts';
import { notAnswering, readPatiently, SLOW_MS } from './patient-read.ts';
import { unreadSettings, unsavedSettings } from './storage-health.ts';
import { recall, remember } from './web-storage.ts';

export type Appearance = 'system' | 'light' | 'dark';

/** All settings of the page, as they are stored. */
export interface Settings {
  /** For new chats, and for new texts: the settings used last. */
  chatGeneration: GenerationSettings;
  textGeneration: GenerationSettings;
  /** What computes. `auto`: a real GPU if there is one, else the CPU. */
  compute: NonNullable<LoadRequest['compute']>;
  /** Tokens that the context holds. undefined: automatic. The threads and the three budgets work likewise. */
  context: number | undefined;
  gpuBudgetMegabytes: number | undefined;
  /** Main memory for experts that no longer fit on the GPU; only if the GPU computes. */
  ramBudgetMegabytes: number | undefined;
  /** Main memory for the whole model; only if the CPU computes. */
  cpuBudgetMegabytes: number | undefined;
  /** Workers that compute; only if the CPU computes. */
  threads: number | undefined;
  /** The hint that a GPU would be faster is not shown again. */
  gpuHintDismissed: boolean;
  /** The hint that Safari deletes the data of unvisited pages is not shown again. */
  sevenDaysHintDismissed: boolean;
  /** Trade exactness for fewer expert reads; 0 is exact. See `LossyOptions`. */
  residentBias: number;
  skipBelow: number;
  /** Whether KV caches of conversations are kept on the disk, and how much space they may take. */
  keepSessions: boolean;
  sessionBudgetMegabytes: number;
  /** Where new models are stored. */
  storageBackend: NonNullable<ImportOptions['storage']>;
  appearance: Appearance;
  lastModelId: string | undefined;
  /** Chat formats that were chosen by hand, by the id of the model. */
  chatFormats: Record<string, ChatFormat>;
}

/** The settings on the first visit. */
export const DEFAULT_SETTINGS: Settings = {
  chatGeneration: defaultGeneration('chat'),
  textGeneration: defaultGeneration('text'),
  compute: 'auto',
  context: undefined,
  gpuBudgetMegabytes: undefined,
  ramBudgetMegabytes: undefined,
  cpuBudgetMegabytes: undefined,
  threads: undefined,
  gpuHintDismissed: false,
  sevenDaysHintDismissed: false,
  residentBias: 0,
  skipBelow: 0,
  keepSessions: true,
  sessionBudgetMegabytes: 2000,
  storageBackend: 'auto',
  appearance: 'system',
  lastModelId: undefined,
  chatFormats: {},
};

const KEY = 'settings';
/** In localStorage, which browsers keep apart from the database: some delete that after a full disk (docs/ui.md). */
const COPY_KEY = 'mixtab-settings';
const database = new Database('keyval-store', 'keyval');
/** Carries a word to other tabs when stored settings have changed. */
const channel = new BroadcastChannel('mixtab-settings');

/** The current settings. Change them with {@link changeSettings}. */
export const settings = signal<Settings>(DEFAULT_SETTINGS);

/** Another tab has changed what only a load applies, since this tab's model was loaded. */
export const changedElsewhere = signal(false);

/** Changes that are not stored yet. */
let unstored: SettingsChanges = {};

/**
 * Reads the stored settings, applies the appearance, and follows changes of other tabs. Settings that cannot be read in
 * time are applied once they can.
 * @returns why they were not read in time; undefined if they were
 */
export async function loadSettings(): Promise<Error | undefined> {
  let isRead = false;
  const failure = await readPatiently(readStored, (stored) => {
    applySettings(stored);
    isRead = true;
    unreadSettings.value = undefined;
  });
  if (!isRead) unreadSettings.value = failure;
  channel.onmessage = () => void followOtherTab().catch(() => {}); // if it cannot be read, nothing changes
  return failure;
}

async function followOtherTab(): Promise<void> {
  const before = loadOptionsText(settings.value);
  applySettings(await readStored());
  if (loadOptionsText(settings.value) !== before) changedElsewhere.value = true;
}

const readStored = (): Promise<unknown> => database.read((records) => records.get(KEY));

/** @param stored if there is nothing, the browser has deleted it, or it is the first visit: then a copy is used */
function applySettings(stored: unknown): void {
  const copied = stored === undefined ? readCopy() : undefined;
  if (copied) unstored = mergeSettings(copied, unstored) as SettingsChanges;
  settings.value = settingsFrom(mergeSettings(stored as StoredSettings | undefined, unstored));
  applyAppearance();
  if (stored !== undefined) copy(stored);
  else void saveSettings();
}

function copy(stored: unknown): void {
  const text = JSON.stringify(stored);
  if (recall('localStorage', COPY_KEY) !== text) remember('localStorage', COPY_KEY, text);
}

function readCopy(): StoredSettings | undefined {
  try {
    const stored: unknown = JSON.parse(recall('localStorage', COPY_KEY) ?? 'null');
    return typeof stored === 'object' && stored !== null ? stored : undefined;
  } catch {
    return undefined;
  }
}

/** Settings as they are stored. Some had other names before version 0.2. */
export type StoredSettings = SettingsChanges & {
  writing?: Partial<GenerationSettings>;
  textWriting?: Partial<GenerationSettings>;
  place?: StorageBackend;
};

/** Completes stored settings with the defaults. */
export function settingsFrom({ writing, textWriting, place, ...stored }: StoredSettings = {}): Settings {
  return {
    ...DEFAULT_SETTINGS,
    ...(place === 'opfs' && { storageBackend: place }), // `indexeddb` was the default then, so nobody had to choose it
    ...stored,
    chatGeneration: { ...DEFAULT_SETTINGS.chatGeneration, ...writing, ...stored.chatGeneration },
    textGeneration: { ...DEFAULT_SETTINGS.textGeneration, ...textWriting, ...stored.textGeneration },
  };
}

/** The generation settings of a new conversation. */
export const newGeneration = (
  { chatGeneration, textGeneration }: Settings,
  kind: 'chat' | 'text',
): GenerationSettings => (kind === 'chat' ? chatGeneration : textGeneration);

/** Settings that changed. Of the generation settings, only the fields that changed. */
export type SettingsChanges = Partial<
  Omit<Settings, 'chatGeneration' | 'textGeneration'> & {
    chatGeneration: Partial<GenerationSettings>;
    textGeneration: Partial<GenerationSettings>;
  }
>;

/** The fields of `after` that differ from `before`. */
export function settingsChanges(before: Settings, after: Settings): SettingsChanges {
  const changes: Record<string, unknown> = changedFields(before, after);
  for (const key of ['chatGeneration', 'textGeneration'] as const) {
    const fields = changedFields(before[key], after[key]);
    if (Object.keys(fields).length > 0) changes[key] = fields;
    else delete changes[key];
  }
  return changes;
}

const changedFields = <T extends object>(before: T, after: T): Partial<T> =>
  Object.fromEntries(Object.entries(after).filter(([key, value]) => before[key as keyof T] !== value)) as Partial<T>;

/** Applies changes to settings as they are stored. Fields that did not change keep what another tab has stored. */
export function mergeSettings(stored: StoredSettings | undefined, changes: SettingsChanges): StoredSettings {
  const merged = { ...stored, ...changes } as StoredSettings;
  for (const key of ['chatGeneration', 'textGeneration'] as const) {
    if (changes[key]) merged[key] = { ...stored?.[key], ...changes[key] } as GenerationSettings;
  }
  return merged;
}

/** Changes settings, and stores those that changed. */
export function changeSettings(changes: Partial<Settings>): void {
  const before = settings.value;
  settings.value = { ...before, ...changes };
  applyAppearance();
  unstored = mergeSettings(unstored, settingsChanges(before, settings.value)) as SettingsChanges;
  void saveSettings();
}

/** Stores settings that are not stored yet. Never rejects. */
export async function saveSettings(): Promise<void> {
  const changes = unstored;
  if (Object.keys(changes).length === 0) return;
  const slow = setTimeout(() => (unsavedSettings.value = notAnswering(SLOW_MS)), SLOW_MS);
  try {
    const stored = await database.write(async (records) => {
      const merged = mergeSettings((await records.get(KEY)) as StoredSettings | undefined, changes);
      records.put(KEY, merged);
      return merged;
    });
    copy(stored);
    if (unstored === changes) unstored = {};
    unsavedSettings.value = undefined;
    channel.postMessage('changed');
  } catch (error) {
    unsavedSettings.value = error instanceof Error ? error : new Error(String(error));
  } finally {
    clearTimeout(slow);
  }
}

/** Stores all settings, after the browser has deleted them. Never rejects. */
export async function saveAllSettings(): Promise<void> {
  unstored = settingsChanges(DEFAULT_SETTINGS, settings.value);
  await saveSettings();
}

/** All colours of the style sheets are light-dark() pairs, so setting the colour scheme is enough. */
function applyAppearance(): void {
  const { appearance } = settings.value;
  document.documentElement.style.colorScheme = appearance === 'system' ? '' : appearance;
}

/** The settings as options of a request; undefined if they are exact. */
export function lossyOf({ residentBias, skipBelow }: Settings): LossyOptions | undefined {
  return residentBias > 0 || skipBelow > 0 ? { residentBias, skipBelow } : undefined;
}

/**
 * The settings as options of a load request. Values that are automatic are left out. If the engine chooses what
 * computes, the limits of both are given, because the engine may choose another one than the page expects.
 */
export function loadOptionsOf({
  compute,
  context,
  threads,
  gpuBudgetMegabytes,
  ramBudgetMegabytes,
  cpuBudgetMegabytes,
}: Settings): Omit<LoadRequest, 'modelId'> {
  const [gpu, cpu] = [compute !== 'cpu', compute !== 'gpu'];
  return {
    ...(compute !== 'auto' && { compute }),
    ...(context !== undefined && { context }),
    ...(cpu && threads !== undefined && { threads }),
    ...(gpu && gpuBudgetMegabytes !== undefined && { gpuBudgetBytes: gpuBudgetMegabytes * 1e6 }),
    ...(gpu && ramBudgetMegabytes !== undefined && { ramBudgetBytes: ramBudgetMegabytes * 1e6 }),
    ...(cpu && cpuBudgetMegabytes !== undefined && { cpuBudgetBytes: cpuBudgetMegabytes * 1e6 }),
  };
}

/** {@link loadOptionsOf} as text, to compare them. */
export const loadOptionsText = (from: Settings): string => JSON.stringify(loadOptionsOf(from));

/** The setting for the memory of the whole model. */
export const MODEL_BUDGET = { gpu: 'gpuBudgetMegabytes', cpu: 'cpuBudgetMegabytes' } as const satisfies Record<
  ComputeKind,
  keyof Settings
>;

/** Sets or removes the chat format of a model. It takes effect when the model is loaded the next time. */
export function chooseChatFormat(modelId: string, format: ChatFormat | undefined): void {
  const { [modelId]: _former, ...others } = settings.value.chatFormats;
  changeSettings({ chatFormats: format === undefined ? others : { ...others, [modelId]: format } });
}
