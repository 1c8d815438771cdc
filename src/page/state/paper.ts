/**
 * The paper's figures on the reader's texts, as signals: the newest results. Shown by the experts view; set by
 * services/paper.ts.
 */
import { signal } from '@preact/signals';
import type { ScoreResult } from '../../contract/engine-api.ts';
import type { ModelConfig } from '../../contract/import-api.ts';

/** A text by the name that the page shows. */
export interface NamedText {
  name: string;
  text: string;
}

/** How well the model predicts a text if it sees at most `context` tokens. */
export interface CurvePoint extends Pick<ScoreResult, 'tokens' | 'nll' | 'nllError' | 'perplexity' | 'blocks'> {
  context: number;
}

/** Perplexity of one text at several context lengths. Incomplete while it is measured, or if that was stopped. */
export interface Curve {
  /** Name and id of the model. */
  model: string;
  modelId: string;
  /** Name of the text. */
  text: string;
  /** All lengths that were asked for. */
  lengths: number[];
  points: CurvePoint[];
}

/** One of several texts that the model has read, with its routing. */
export interface ReadText extends Pick<ScoreResult, 'tokens' | 'perplexity' | 'routing'> {
  name: string;
  trace: NonNullable<ScoreResult['trace']>;
}

/** Several texts that one model has read. */
export interface Comparison {
  /** Name and id of the model. */
  model: string;
  modelId: string;
  config: ModelConfig;
  texts: ReadText[];
}

/** The newest curve. */
export const curve = signal<Curve | undefined>(undefined);
/** The newest comparison of texts. */
export const comparison = signal<Comparison | undefined>(undefined);
