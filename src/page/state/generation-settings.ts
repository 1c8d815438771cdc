/** Sampling, answer length and system prompt, which each conversation has of its own. Pure. */
import type { SamplingOptions } from '../../contract/engine-api.ts';

/** The generation settings of one conversation. */
export interface GenerationSettings {
  /** Precedes the first message of a chat; empty: none. */
  systemPrompt: string;
  temperature: number;
  topK: number;
  topP: number;
  minP: number;
  repetitionPenalty: number;
  presencePenalty: number;
  frequencyPenalty: number;
  /** undefined: random for each answer. */
  seed: number | undefined;
  /** Maximum length of an answer. */
  maxTokens: number;
}

/** Initial settings of chats, and the defaults for missing values. */
export const DEFAULT_GENERATION: GenerationSettings = {
  systemPrompt: '',
  temperature: 0.8,
  topK: 40,
  topP: 0.95,
  minP: 0.05,
  repetitionPenalty: 1.1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  seed: undefined,
  maxTokens: 400,
};

export type SamplingKey =
  | 'temperature'
  | 'topK'
  | 'topP'
  | 'minP'
  | 'repetitionPenalty'
  | 'presencePenalty'
  | 'frequencyPenalty';

/** A named set of sampling values. */
export interface Preset {
  name: string;
  help: string;
  sampling: Pick<GenerationSettings, SamplingKey>;
}

const OFF = { topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, presencePenalty: 0, frequencyPenalty: 0 };

/** The presets, from the most predictable to the most surprising. */
export const PRESETS: Preset[] = [
  {
    name: 'Greedy',
    help: 'Always picks the most likely token: the same answer every time.',
    sampling: { ...OFF, temperature: 0 },
  },
  {
    name: 'Precise',
    help: 'Stays close to the most likely tokens. For facts and code.',
    sampling: { ...OFF, temperature: 0.3, topP: 0.9, minP: 0.1 },
  },
  {
    name: 'Balanced',
    help: 'The default for chats.',
    sampling: { ...OFF, temperature: 0.8, topK: 40, topP: 0.95, minP: 0.05, repetitionPenalty: 1.1 },
  },
  {
    name: 'Story',
    help: 'The default for base models: any likely token, without a repetition penalty.',
    sampling: { ...OFF, temperature: 0.8, minP: 0.1 },
  },
  {
    name: 'Creative',
    help: 'More surprising. For ideas.',
    sampling: { ...OFF, temperature: 1.1, minP: 0.05, repetitionPenalty: 1.05 },
  },
];

/** Initial settings of a kind. Texts have no repetition penalty, because stories repeat names and function words. */
export const defaultGeneration = (kind: 'chat' | 'text'): GenerationSettings =>
  kind === 'chat'
    ? DEFAULT_GENERATION
    : { ...DEFAULT_GENERATION, ...PRESETS.find(({ name }) => name === 'Story')!.sampling };

/** The preset that these settings equal; undefined if they equal none. */
export function presetOf(settings: GenerationSettings): Preset | undefined {
  return PRESETS.find(({ sampling }) =>
    Object.entries(sampling).every(([key, value]) => settings[key as SamplingKey] === value),
  );
}

/** The settings as sampling options of a request. */
export function samplingOf(settings: GenerationSettings): SamplingOptions {
  const { temperature, topK, topP, minP, repetitionPenalty, presencePenalty, frequencyPenalty, seed } = settings;
  return {
    temperature,
    topK,
    topP,
    minP,
    repetitionPenalty,
    presencePenalty,
    frequencyPenalty,
    ...(seed !== undefined && { seed }),
  };
}

/** Validates settings of a stored or imported record. An invalid value is replaced by its default. */
export function generationFrom(data: unknown): GenerationSettings {
  const from = (typeof data === 'object' && data !== null ? data : {}) as Record<string, unknown>;
  const result: Record<string, unknown> = { ...DEFAULT_GENERATION };
  for (const key of Object.keys(DEFAULT_GENERATION)) {
    if (key === 'systemPrompt' ? typeof from[key] === 'string' : Number.isFinite(from[key])) result[key] = from[key];
  }
  return result as unknown as GenerationSettings;
}
