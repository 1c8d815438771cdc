/** Turns a conversation into a request for the engine, and a result into the figures under the answer. Pure. */
import type { GenerateRequest, GenerateResult } from '../../contract/engine-api.ts';
import { messagesFor, textFor } from '../state/context-window.ts';
import type { Conversation, Turn } from '../state/conversation-tree.ts';
import { samplingOf } from '../state/generation-settings.ts';
import { lossyOf, type Settings } from '../state/settings.ts';

/**
 * @param until id of the last turn that the prompt holds
 * @param seed for a conversation that has none: an answer can only be resumed with the seed that it began with
 */
export function requestFor(
  conversation: Conversation,
  until: string,
  settings: Settings,
  seed: number,
): GenerateRequest {
  const lossy = lossyOf(settings);
  return {
    input:
      conversation.kind === 'chat'
        ? { kind: 'chat', messages: messagesFor(conversation, until) }
        : { kind: 'text', text: textFor(conversation, until) },
    maxTokens: conversation.generation.maxTokens,
    sampling: { seed, ...samplingOf(conversation.generation) },
    ...(lossy && { lossy }),
  };
}

/**
 * @param context tokens that the context holds; undefined if the model has been unloaded meanwhile
 * @param continued the turn as it was before it was continued: its tokens count towards the answer
 */
export function statsOf(
  { promptTokens, reusedTokens, tokens, timings, cache, finishReason }: GenerateResult,
  context: number | undefined,
  continued: Turn | undefined,
): Turn['stats'] {
  const writtenBefore = continued?.stats?.tokens ?? 0;
  const contextFull =
    finishReason === 'length' && context !== undefined && promptTokens.length + tokens.length >= context;
  return {
    promptTokens: promptTokens.length - writtenBefore,
    newTokens: promptTokens.length - reusedTokens,
    tokens: tokens.length + writtenBefore,
    tokensPerSecond: timings.decodeTokensPerSecond,
    prefillMs: timings.prefillMs,
    hitRate: cache.hitRate,
    finishReason,
    ...(contextFull && { contextFull }),
  };
}
