/** The experiments in words, so that a first-time reader knows what each changes. */
import type { ModelConfig } from '../../../contract/import-api.ts';
import type { ExperimentId } from '../../state/lab-experiments.ts';

/** What an experiment is called, and what it changes and why that is interesting, in a sentence or two. */
export const TEXTS: Record<ExperimentId, (config: ModelConfig) => { title: string; sentence: string }> = {
  first: ({ expertsPerToken }) => ({
    title: expertsPerToken === 2 ? 'First choice only' : 'Fewer experts',
    sentence:
      expertsPerToken === 2
        ? 'Only the expert with the best score is used. Shows what the second one adds.'
        : `Fewer than the usual ${expertsPerToken} experts are used, those with the best scores.`,
  }),
  second: () => ({
    title: 'Second choice only',
    sentence: 'The expert with the best score is left out, and the second one does all the work.',
  }),
  random: () => ({
    title: 'Random experts',
    sentence:
      'Experts are drawn by lot for each token in every layer. If the router did nothing useful, little would change.',
  }),
  ban: () => ({
    title: 'An expert banned',
    sentence: 'One expert is never used, and the next best takes its place. Shows how indispensable one expert is.',
  }),
  swap: () => ({
    title: 'Two experts swapped',
    sentence:
      'Tokens for one expert go to the other, and the other way round. If experts were interchangeable, nothing would change.',
  }),
  one: () => ({
    title: 'One expert for all',
    sentence: 'Every token goes to the same expert, whatever the router says, as in a small model without a mixture.',
  }),
  noise: () => ({
    title: 'A noisy router',
    sentence: 'A random number is added to each score before the choice. Shows how exact the scores have to be.',
  }),
  mix: () => ({
    title: 'Several changes at once',
    sentence: 'The changes that you tick here, all in one model.',
  }),
};
