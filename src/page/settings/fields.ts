/** The settings that are numbers or a choice, each with one line that says what it does. */
import type { ComputeKind } from '../../contract/engine-api.ts';
import type { GenerationSettings } from '../state/generation-settings.ts';
import type { Settings } from '../state/settings.ts';

/** Describes one numeric setting. */
export interface Field<K extends string> {
  key: K;
  label: string;
  help: string;
  min: number;
  max: number;
  step: number;
  /** What an empty field means. If absent, a number is required. */
  empty?: string;
}

export type LossyKey = 'residentBias' | 'skipBelow';

/** Fields of the approximate mode. */
export const LOSSY: Field<LossyKey>[] = [
  {
    key: 'residentBias',
    label: 'Prefer resident experts',
    help:
      'Added to the router score of experts that are already loaded; 0 is exact. With the built-in model, 0.5 ' +
      'saved a third of the reads and cost 0.2% in prediction quality, 1 saved half and cost 1.4%, 2 saved four ' +
      'fifths and cost 27%.',
    min: 0,
    max: 100,
    step: 0.1,
  },
  {
    key: 'skipBelow',
    label: 'Skip low-weight experts',
    help:
      "Skips a token's second expert if its weight is below this; 0 is exact, 0.5 always skips it. With the built-in " +
      'model, 0.2 saved 29% of the reads and cost 0.2% in prediction quality, 0.5 saved 63% and cost 2.4%.',
    min: 0,
    max: 0.5,
    step: 0.01,
  },
];

/** Fields of the conversation cache. */
export const SESSIONS: Field<'sessionBudgetMegabytes'>[] = [
  {
    key: 'sessionBudgetMegabytes',
    label: 'Conversation cache (MB)',
    help: 'Disk space for the cache. The oldest entries are deleted first. A token of Mixtral 8x7B takes 0.13 MB.',
    min: 1,
    max: 1_000_000,
    step: 1,
  },
];

/** Fields that each conversation has of its own. */
export const SAMPLING: Field<Exclude<keyof GenerationSettings, 'systemPrompt'>>[] = [
  {
    key: 'temperature',
    label: 'Temperature',
    help: '0 always picks the most likely token. Higher values are more surprising.',
    min: 0,
    max: 2,
    step: 0.05,
  },
  {
    key: 'topK',
    label: 'Top-k',
    help: 'Only picks from the k most likely tokens. 0 turns it off.',
    min: 0,
    max: 1000,
    step: 1,
  },
  {
    key: 'topP',
    label: 'Top-p',
    help: 'Only picks from the most likely tokens that together have this probability. 1 turns it off.',
    min: 0,
    max: 1,
    step: 0.01,
  },
  {
    key: 'minP',
    label: 'Min-p',
    help: 'Drops tokens less likely than this fraction of the most likely one. 0 turns it off.',
    min: 0,
    max: 1,
    step: 0.01,
  },
  {
    key: 'repetitionPenalty',
    label: 'Repetition penalty',
    help: 'Above 1, tokens that were already used become less likely.',
    min: 0.5,
    max: 2,
    step: 0.01,
  },
  {
    key: 'presencePenalty',
    label: 'Presence penalty',
    help: 'Above 0, a token that was used at least once becomes less likely. 0 turns it off.',
    min: -2,
    max: 2,
    step: 0.05,
  },
  {
    key: 'frequencyPenalty',
    label: 'Frequency penalty',
    help: 'Above 0, a token becomes less likely each time it is used. 0 turns it off.',
    min: -2,
    max: 2,
    step: 0.05,
  },
  {
    key: 'maxTokens',
    label: 'Max answer length',
    help: 'In tokens. A token is about three quarters of a word.',
    min: 1,
    max: 32768,
    step: 1,
  },
  {
    key: 'seed',
    label: 'Seed',
    help: 'The same seed and text give the same answer.',
    min: 0,
    max: 4294967295,
    step: 1,
    empty: 'random',
  },
];

export type MemoryKey = 'context' | 'gpuBudgetMegabytes' | 'ramBudgetMegabytes' | 'cpuBudgetMegabytes' | 'threads';

const CONTEXT: Field<MemoryKey> = {
  key: 'context',
  label: 'Context length',
  help: 'How many tokens of the conversation the model can see. A longer context takes more memory.',
  min: 16,
  max: 131072,
  step: 1,
  empty: 'automatic',
};

/** Fields that take effect when the model is loaded again, if the GPU computes. */
const GPU_MEMORY: Field<MemoryKey>[] = [
  {
    key: 'gpuBudgetMegabytes',
    label: 'GPU memory (MB)',
    help: 'For the whole model. Experts that do not fit are loaded from disk when they are needed.',
    min: 1,
    max: 1_000_000,
    step: 1,
    empty: 'automatic',
  },
  {
    key: 'ramBudgetMegabytes',
    label: 'RAM (MB)',
    help: 'Besides GPU memory: keeps experts that no longer fit on the GPU, so that they are not read from disk again.',
    min: 0,
    max: 1_000_000,
    step: 1,
    empty: 'automatic',
  },
];

/** Fields that take effect when the model is loaded again, if the CPU computes. */
const CPU_MEMORY: Field<MemoryKey>[] = [
  {
    key: 'cpuBudgetMegabytes',
    label: 'Main memory (MB)',
    help: 'For the whole model. Experts that do not fit are loaded from disk when they are needed.',
    min: 1,
    max: 1_000_000,
    step: 1,
    empty: 'automatic',
  },
  {
    key: 'threads',
    label: 'Threads',
    help: `How many cores of the CPU compute. This device has ${cores()}.`,
    min: 1,
    max: cores(),
    step: 1,
    empty: 'automatic',
  },
];

/** Cores that the browser reports. */
function cores(): number {
  return navigator.hardwareConcurrency || 1;
}

/** The fields that apply, by what computes. Changes take effect when the model is loaded again. */
export const MEMORY = {
  gpu: [CONTEXT, ...GPU_MEMORY],
  cpu: [CONTEXT, ...CPU_MEMORY],
} as const satisfies Record<ComputeKind, Field<MemoryKey>[]>;

/** What can be chosen to compute, each with one line that explains it. */
export const COMPUTE_CHOICES: { value: Settings['compute']; label: string; help: string }[] = [
  { value: 'auto', label: 'Automatic', help: 'Uses the GPU if this device has a real one, otherwise the CPU.' },
  {
    value: 'gpu',
    label: 'GPU',
    help: 'Uses WebGPU. Much faster with a real graphics card, slow if the browser only simulates one.',
  },
  {
    value: 'cpu',
    label: 'CPU',
    help: 'Uses WebAssembly. Works without a graphics card. The model has to share main memory with everything else.',
  },
];
