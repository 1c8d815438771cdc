/**
 * The settings of the page, kept in IndexedDB. Each conversation also has generation settings of its own
 * (generation-settings.ts).
 */
import { signal } from '@preact/signals';
import { get, set } from 'idb-keyval';
import type { ComputeKind, LoadRequest, LossyOptions } from '../../contract/engine-api.ts';
import type { ImportOptions } from '../../contract/import-api.ts';
import { defaultGeneration, type GenerationSettings } from './generation-settings.ts';

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
  residentBias: 0,
  skipBelow: 0,
  keepSessions: true,
  sessionBudgetMegabytes: 2000,
  storageBackend: 'indexeddb',
  appearance: 'system',
  lastModelId: undefined,
};

const KEY = 'settings';

/** The current settings. Change them with {@link changeSettings}. */
export const settings = signal<Settings>(DEFAULT_SETTINGS);

/** Reads the stored settings and applies the appearance. */
export async function loadSettings(): Promise<void> {
  settings.value = settingsFrom(await get<StoredSettings>(KEY));
  applyAppearance();
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

/** The generation settings of a new conversation. */
export const newGeneration = (
  { chatGeneration, textGeneration }: Settings,
  kind: 'chat' | 'text',
): GenerationSettings => (kind === 'chat' ? chatGeneration : textGeneration);

/** Changes and stores settings. */
export function changeSettings(changes: Partial<Settings>): void {
  settings.value = { ...settings.value, ...changes };
  applyAppearance();
  void set(KEY, settings.value);
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
 * The settings as options of a load request. Values that are automatic are left out.
 * @param kind what will compute: it decides which budgets apply
 */
export function loadOptionsOf(
  { compute, context, threads, gpuBudgetMegabytes, ramBudgetMegabytes, cpuBudgetMegabytes }: Settings,
  kind: ComputeKind,
): Omit<LoadRequest, 'modelId'> {
  const ramMegabytes = kind === 'cpu' ? cpuBudgetMegabytes : ramBudgetMegabytes;
  return {
    ...(compute !== 'auto' && { compute }),
    ...(context !== undefined && { context }),
    ...(kind === 'cpu' && threads !== undefined && { threads }),
    ...(kind === 'gpu' && gpuBudgetMegabytes !== undefined && { gpuBudgetBytes: gpuBudgetMegabytes * 1e6 }),
    ...(ramMegabytes !== undefined && { ramBudgetBytes: ramMegabytes * 1e6 }),
  };
}

/** The setting for the memory of the whole model. */
export const MODEL_BUDGET = { gpu: 'gpuBudgetMegabytes', cpu: 'cpuBudgetMegabytes' } as const satisfies Record<
  ComputeKind,
  keyof Settings
>;
