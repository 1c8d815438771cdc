/**
 * Results of the laboratory, as signals: how well the model predicts one text, and how it continues one prompt, with
 * its own and with changed routing. Set by services/laboratory.ts, shown by the experts view. What to run is in the
 * address (lab-experiments.ts).
 */
import { signal } from '@preact/signals';
import type { AblationOptions, ScoreResult } from '../../contract/engine-api.ts';
import { EXPERIMENTS, type ExperimentId } from './lab-experiments.ts';

/** A model to run: the original one, or a changed one. */
export interface LabModel {
  /** Equal for equal models, empty for the original one. */
  key: string;
  /** Its change in words. */
  name: string;
  /** Absent for the original model. */
  experiment?: ExperimentId;
  ablation?: AblationOptions;
}

export const ORIGINAL: LabModel = { key: '', name: 'Original model' };

/** How well one of the models predicts the text. */
export interface LabScore extends Pick<ScoreResult, 'tokens' | 'nll' | 'perplexity' | 'blocks'> {
  model: LabModel;
}

/** How one of the models continues the prompt. */
export interface LabWords {
  model: LabModel;
  words: string;
  /** Whether this is all, and not what was written until a stop. */
  done: boolean;
}

/** Results that can be compared: those of one loaded model and of one text or prompt. */
export interface LabResults<T> {
  /** Equal for equal models, texts and settings. */
  key: string;
  /** Name of the loaded model. */
  loaded: string;
  /** Name of the text, or the prompt. */
  of: string;
  /** The original model first, then in the order of the experiments. */
  rows: readonly T[];
}

export const labScores = signal<LabResults<LabScore> | undefined>(undefined);
export const labWords = signal<LabResults<LabWords> | undefined>(undefined);
/** The prompt that the reader wrote. */
export const ownPrompt = signal<string | undefined>(undefined);
/** The model that runs now, in words. */
export const labStep = signal('');

/** Adds a row to results, in place of an earlier one of the same model. */
export function withRow<T extends { model: LabModel }>(results: LabResults<T>, row: T): LabResults<T> {
  const order = ({ model: { experiment } }: T): number => (experiment ? EXPERIMENTS.indexOf(experiment) : -1);
  const rows = [...results.rows.filter(({ model }) => model.key !== row.model.key), row];
  return { ...results, rows: rows.sort((a, b) => order(a) - order(b)) };
}
