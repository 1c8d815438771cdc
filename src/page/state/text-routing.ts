/**
 * Which experts a text was routed to, as signals. Read and shown by the experts view; set by services/text-routing.ts.
 */
import { signal } from '@preact/signals';
import type { GenerateRequest, LayerRouting, ScoreResult } from '../../contract/engine-api.ts';
import type { ModelConfig } from '../../contract/import-api.ts';

/** Shown until the user pastes a text. */
export const SAMPLE_TEXT =
  'The old clock in the hall struck nine, and still nobody came. Anna put down her book and went to the window. "It ' +
  'is raining again," she said, "and the road must be deep in mud by now." Her brother did not answer. He had ' +
  'looked into the fire since supper, as if the letter that he had burned there could still be read. At last there ' +
  'was a sound of wheels, and the dog, which had slept under the table, rose and walked slowly to the door.';

/** A text that the model has read, with its routing. */
export interface Reading {
  /** Name and id of the model. */
  model: string;
  modelId: string;
  /** What was read, in windows of `context` tokens. */
  input: GenerateRequest['input'];
  context: number;
  /** Id of the conversation that was read; absent for other texts. */
  conversation?: string;
  config: ModelConfig;
  tokens: number;
  perplexity: number;
  /** How many different paths through the layers the tokens took. */
  paths: number;
  routing: LayerRouting[];
  trace: NonNullable<ScoreResult['trace']>;
}

/** The newest reading. It is kept while another view is shown. */
export const reading = signal<Reading | undefined>(undefined);
/** The text that the user pasted. */
export const ownText = signal(SAMPLE_TEXT);
