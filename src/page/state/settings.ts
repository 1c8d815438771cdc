/** What the user can set, and where it is kept. How a conversation is written it keeps itself (writing.ts). */
import { signal } from '@preact/signals';
import { get, set } from 'idb-keyval';
import type { LoadRequest, LossyOptions } from '../../contract/engine-api.ts';
import type { ImportOptions } from '../../contract/import-api.ts';
import { defaultGeneration, type GenerationSettings } from './generation-settings.ts';

export type Appearance = 'system' | 'light' | 'dark';

export interface Settings {
  /** For new chats and for new texts: as it was set last. */
  chatGeneration: GenerationSettings;
  textGeneration: GenerationSettings;
  /** undefined: automatic. */
  context: number | undefined;
  gpuBudgetMegabytes: number | undefined;
  ramBudgetMegabytes: number | undefined;
  /** Trade exactness for fewer experts read; 0 is exact. See `LossyOptions`. */
  residentBias: number;
  skipBelow: number;
  /** Whether what models have read of conversations is kept on the disk, and how much of it. */
  keepSessions: boolean;
  sessionBudgetMegabytes: number;
  /** Where new models are kept. */
  storageBackend: NonNullable<ImportOptions['storage']>;
  appearance: Appearance;
  lastModelId: string | undefined;
}

export const DEFAULT_SETTINGS: Settings = {
  chatGeneration: defaultGeneration('chat'),
  textGeneration: defaultGeneration('text'),
  context: undefined,
  gpuBudgetMegabytes: undefined,
  ramBudgetMegabytes: undefined,
  residentBias: 0,
  skipBelow: 0,
  keepSessions: true,
  sessionBudgetMegabytes: 2000,
  storageBackend: 'indexeddb',
  appearance: 'system',
  lastModelId: undefined,
};

const KEY = 'settings';

export const settings = signal<Settings>(DEFAULT_SETTINGS);

export async function loadSettings(): Promise<void> {
  settings.value = settingsFrom(await get<StoredSettings>(KEY));
  showAppearance();
}

/** Settings as they are stored. Some had other names before version 0.2. */
type StoredSettings = Partial<Settings> & {
  writing?: Partial<GenerationSettings>;
  textWriting?: Partial<GenerationSettings>;
  place?: Settings['storageBackend'];
};

/** Completes stored settings with the defaults. */
export function settingsFrom({ writing, textWriting, place, ...stored }: StoredSettings = {}): Settings {
  return {
    ...DEFAULT_SETTINGS,
    ...(place && { storageBackend: place }),
    ...stored,
    chatGeneration: { ...DEFAULT_SETTINGS.chatGeneration, ...writing, ...stored.chatGeneration },
    textGeneration: { ...DEFAULT_SETTINGS.textGeneration, ...textWriting, ...stored.textGeneration },
  };
}

/** What a new conversation begins with. */
export const newGeneration = (
  { chatGeneration, textGeneration }: Settings,
  kind: 'chat' | 'text',
): GenerationSettings => (kind === 'chat' ? chatGeneration : textGeneration);

export function changeSettings(changes: Partial<Settings>): void {
  settings.value = { ...settings.value, ...changes };
  showAppearance();
  void set(KEY, settings.value);
}

/** The style sheet's colours are all light-dark(), so the scheme is all there is to say. */
function showAppearance(): void {
  const { appearance } = settings.value;
  document.documentElement.style.colorScheme = appearance === 'system' ? '' : appearance;
}

/** undefined: exact. */
export function lossyOf({ residentBias, skipBelow }: Settings): LossyOptions | undefined {
  return residentBias > 0 || skipBelow > 0 ? { residentBias, skipBelow } : undefined;
}

export function loadOptionsOf({
  context,
  gpuBudgetMegabytes,
  ramBudgetMegabytes,
}: Settings): Omit<LoadRequest, 'modelId'> {
  return {
    ...(context !== undefined && { context }),
    ...(gpuBudgetMegabytes !== undefined && { gpuBudgetBytes: gpuBudgetMegabytes * 1e6 }),
    ...(ramBudgetMegabytes !== undefined && { ramBudgetBytes: ramBudgetMegabytes * 1e6 }),
  };
}
