/** What the user can set, its defaults, and where it is kept. */
import { signal } from '@preact/signals';
import { get, set } from 'idb-keyval';
import type { LoadRequest, SamplingOptions } from '../contract/engine-api.ts';

export interface Settings {
  temperature: number;
  topK: number;
  topP: number;
  minP: number;
  repetitionPenalty: number;
  /** undefined: another one each time. */
  seed: number | undefined;
  maxTokens: number;
  /** undefined: automatic. */
  context: number | undefined;
  gpuBudgetMegabytes: number | undefined;
  lastModelId: string | undefined;
}

export const DEFAULT_SETTINGS: Settings = {
  temperature: 0.8,
  topK: 40,
  topP: 0.95,
  minP: 0.05,
  repetitionPenalty: 1.1,
  seed: undefined,
  maxTokens: 400,
  context: undefined,
  gpuBudgetMegabytes: undefined,
  lastModelId: undefined,
};

const KEY = 'settings';

export const settings = signal<Settings>(DEFAULT_SETTINGS);

export async function loadSettings(): Promise<void> {
  settings.value = { ...DEFAULT_SETTINGS, ...(await get<Partial<Settings>>(KEY)) };
}

export function changeSettings(changes: Partial<Settings>): void {
  settings.value = { ...settings.value, ...changes };
  void set(KEY, settings.value);
}

export function samplingOf({ temperature, topK, topP, minP, repetitionPenalty, seed }: Settings): SamplingOptions {
  return { temperature, topK, topP, minP, repetitionPenalty, ...(seed !== undefined && { seed }) };
}

export function loadOptionsOf({ context, gpuBudgetMegabytes }: Settings): Omit<LoadRequest, 'modelId'> {
  return {
    ...(context !== undefined && { context }),
    ...(gpuBudgetMegabytes !== undefined && { gpuBudgetBytes: gpuBudgetMegabytes * 1e6 }),
  };
}
