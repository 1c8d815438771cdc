/**
 * Has the model read a text, and keeps how its tokens were routed. Part of the experts view's code, which is loaded
 * when the view is first opened.
 */
import type { GenerateRequest } from '../../contract/engine-api.ts';
import { proxy } from '../../contract/rpc.ts';
import { messagesFor, textFor } from '../state/context-window.ts';
import type { Conversation } from '../state/conversation-tree.ts';
import { loaded } from '../state/models.ts';
import { announcement } from '../state/notices.ts';
import { reading } from '../state/text-routing.ts';
import { services } from './services.ts';
import { engine } from './workers.ts';

/** Tokens per window. A text is scored in windows of this length, and each window starts without context. */
const MAX_WINDOW = 512;

/** Tokens per window with the loaded model. */
export const scoreWindow = (): number => Math.min(MAX_WINDOW, loaded.value?.context ?? MAX_WINDOW);

/** A conversation as the model would read it; undefined if it is empty. */
export function inputOf(conversation: Conversation | undefined): GenerateRequest['input'] | undefined {
  if (!conversation || conversation.turns.length === 0) return undefined;
  const wholePath = ''; // the id of no turn
  if (conversation.kind === 'chat' && loaded.value?.summary.hasChatTemplate)
    return { kind: 'chat', messages: messagesFor(conversation, wholePath) };
  return { kind: 'text', text: textFor(conversation, wholePath) };
}

/** The text of an input, whose tokens are counted before it is read. */
export function plainText(input: GenerateRequest['input'] | undefined): string {
  if (input === undefined) return '';
  return input.kind === 'text' ? input.text : input.messages.map(({ content }) => content).join('\n');
}

/** Number of tokens in a text; undefined if no model is loaded. */
export async function countTokens(text: string): Promise<number | undefined> {
  const tokens = await engine.tokenize(text).catch(() => undefined);
  return tokens?.length;
}

/**
 * Has the model read the input, and sets `reading`.
 * @param conversation id of the conversation that the input is
 */
export function read(input: GenerateRequest['input'], conversation?: string): Promise<void> {
  return services.experiments.run('routing', async (onProgress) => {
    const summary = loaded.value!.summary;
    const context = scoreWindow();
    const { trace, routing, tokens, perplexity, paths } = await engine.score(
      { input, context, trace: true },
      proxy(onProgress),
    );
    if (!trace) return;
    const { id, name, config } = summary;
    reading.value = {
      ...{ model: name, modelId: id, input, context, config, tokens, perplexity, paths, routing, trace },
      ...(conversation !== undefined && { conversation }),
    };
    announcement.value = `The routing of ${tokens} tokens is shown.`;
  });
}
