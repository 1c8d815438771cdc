/** Numbers that can be set, each with one line that says what it does. */
import type { GenerationSettings } from '../state/generation-settings.ts';

export interface Field<Key extends string> {
  key: Key;
  label: string;
  help: string;
  min: number;
  max: number;
  step: number;
  /** What an empty field means; where absent a number is needed. */
  empty?: string;
}

export type LossyKey = 'residentBias' | 'skipBelow';

export const LOSSY: Field<LossyKey>[] = [
  {
    key: 'residentBias',
    label: 'Prefer experts at hand',
    help: 'Added to the score of experts that are on the GPU already; 0 is exact. In the built-in model 0.5 spared a third of the reads and cost 0.2 % in bits a byte, 1 half of them and 1.4 %, 2 four fifths and 27 %.',
    min: 0,
    max: 100,
    step: 0.1,
  },
  {
    key: 'skipBelow',
    label: 'Skip light experts',
    help: 'Leaves out a second expert whose weight is below this; 0 is exact, 0.5 leaves one of two. In the built-in model 0.2 spared 29 % of the reads and cost 0.2 % in bits a byte, 0.5 spared 63 % and cost 2.4 %.',
    min: 0,
    max: 0.5,
    step: 0.01,
  },
];

export const SESSIONS: Field<'sessionBudgetMegabytes'>[] = [
  {
    key: 'sessionBudgetMegabytes',
    label: 'Disk for conversations, MB',
    help: 'The oldest go first; a token of Mixtral 8x7B takes 0.13 MB.',
    min: 1,
    max: 1_000_000,
    step: 1,
  },
];

export type MemoryKey = 'context' | 'gpuBudgetMegabytes' | 'ramBudgetMegabytes';

export const SAMPLING: Field<Exclude<keyof GenerationSettings, 'systemPrompt'>>[] = [
  {
    key: 'temperature',
    label: 'Temperature',
    help: '0 always takes the likeliest word; higher is more surprising.',
    min: 0,
    max: 2,
    step: 0.05,
  },
  {
    key: 'topK',
    label: 'Top-k',
    help: 'Choose among the k likeliest tokens only; 0 is off.',
    min: 0,
    max: 1000,
    step: 1,
  },
  {
    key: 'topP',
    label: 'Top-p',
    help: 'Choose among the likeliest tokens that make up this share; 1 is off.',
    min: 0,
    max: 1,
    step: 0.01,
  },
  {
    key: 'minP',
    label: 'Min-p',
    help: 'Leave out what is less likely than this share of the likeliest; 0 is off.',
    min: 0,
    max: 1,
    step: 0.01,
  },
  {
    key: 'repetitionPenalty',
    label: 'Repetition penalty',
    help: 'Above 1, words already used become less likely.',
    min: 0.5,
    max: 2,
    step: 0.01,
  },
  {
    key: 'presencePenalty',
    label: 'Presence penalty',
    help: 'Above 0, a word that was used at all becomes less likely; 0 is off.',
    min: -2,
    max: 2,
    step: 0.05,
  },
  {
    key: 'frequencyPenalty',
    label: 'Frequency penalty',
    help: 'Above 0, a word becomes less likely each time it is used; 0 is off.',
    min: -2,
    max: 2,
    step: 0.05,
  },
  {
    key: 'maxTokens',
    label: 'Longest answer',
    help: 'In tokens; about three quarters of a word each.',
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

export const MEMORY: Field<MemoryKey>[] = [
  {
    key: 'context',
    label: 'Context',
    help: 'How many tokens the model sees; more takes more GPU memory.',
    min: 16,
    max: 131072,
    step: 1,
    empty: 'automatic',
  },
  {
    key: 'gpuBudgetMegabytes',
    label: 'GPU memory, MB',
    help: 'Experts that do not fit are streamed from the disk as they are needed.',
    min: 1,
    max: 1_000_000,
    step: 1,
    empty: 'automatic',
  },
  {
    key: 'ramBudgetMegabytes',
    label: 'Main memory, MB',
    help: 'Keeps experts that lost their place on the GPU, so that the disk is not asked again.',
    min: 0,
    max: 1_000_000,
    step: 1,
    empty: 'automatic',
  },
];
