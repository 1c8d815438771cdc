/** Reads a text and keeps how its tokens were routed. */
import { signal } from '@preact/signals';
import type { GenerateRequest, LayerRouting, ScoreResult } from '../../contract/engine-api.ts';
import type { ModelConfig } from '../../contract/import-api.ts';
import { proxy } from '../../contract/rpc.ts';
import { messagesFor, textFor } from '../state/context-window.ts';
import type { Conversation } from '../state/conversation-tree.ts';
import { announcement, loaded } from '../state/state.ts';
import { runExperiment } from './answers.ts';
import { engine } from './workers.ts';

/** Tokens that are read together; a text is cut into such windows, each of which knows nothing of the one before. */
const WINDOW = 512;

/** What to begin with where the user has no text. */
export const SAMPLE =
  'The old clock in the hall struck nine, and still nobody came. Anna put down her book and went to the window. ' +
  '"It is raining again," she said, "and the road must be deep in mud by now." Her brother did not answer. He had looked into the ' +
  'fire since supper, as if the letter that he had burned there could still be read. At last there was a sound of wheels, and the ' +
  'dog, which had slept under the table, rose and walked slowly to the door.';

export interface Reading {
  model: string;
  config: ModelConfig;
  tokens: number;
  perplexity: number;
  routing: LayerRouting[];
  trace: NonNullable<ScoreResult['trace']>;
}

/** The newest reading; it outlives a look at another view. */
export const reading = signal<Reading | undefined>(undefined);
/** The layer that is looked at. */
export const layer = signal(0);
/** What the user pasted. */
export const ownText = signal(SAMPLE);

export const scoreWindow = (): number => Math.min(WINDOW, loaded.value?.context ?? WINDOW);

/** A conversation as its model met it; undefined where nothing is in it. */
export function inputOf(conversation: Conversation | undefined): GenerateRequest['input'] | undefined {
  if (!conversation || conversation.turns.length === 0) return undefined;
  // To the end of the path: no turn has this id.
  if (conversation.kind === 'chat' && loaded.value?.summary.hasChatTemplate)
    return { kind: 'chat', messages: messagesFor(conversation, '') };
  return { kind: 'text', text: textFor(conversation, '') };
}

/** The words of an input, for counting. */
export const wordsOf = (input: GenerateRequest['input'] | undefined): string =>
  input === undefined
    ? ''
    : input.kind === 'text'
      ? input.text
      : input.messages.map(({ content }) => content).join('\n');

/** Has the model read the text, and keeps what its routers chose. */
export function read(input: GenerateRequest['input']): Promise<void> {
  return runExperiment('routing', async (onProgress) => {
    const summary = loaded.value!.summary;
    const { trace, routing, tokens, perplexity } = await engine.score(
      { input, context: scoreWindow(), trace: true },
      proxy(onProgress),
    );
    if (!trace) return;
    reading.value = { model: summary.name, config: summary.config, tokens, perplexity, routing, trace };
    layer.value = Math.min(layer.value, summary.config.layerCount - 1);
    announcement.value = `The routing of ${tokens} tokens is shown.`;
  });
}
