/** The two kinds of answer, chat and text completion, built from the engine's tokens and results. Pure. */
import type { GeneratedToken, GenerateResult } from '../contract/engine-api.ts';
import { chatLogprobs, completionLogprobs, finishReasonOf, usageOf } from './convert.ts';
import type { ChatChunk, ChatCompletion, ChatParams, Completion, CompletionChunk, CompletionParams } from './types.ts';

/** The fields that an answer and all its chunks share. */
export interface AnswerHeader {
  id: string;
  /** Seconds since 1970. */
  created: number;
  model: string;
}

/** A token that is being streamed. */
export interface StreamedToken {
  token: GeneratedToken;
  /** Characters of the answer before this token. */
  offset: number;
  /**
   * True for text that was held back until the end. Its token was already reported, so it gets no log-probability.
   */
  heldBack: boolean;
}

/** How one kind of answer is built, whole or chunk by chunk. */
export interface AnswerShape<Whole, Chunk> {
  /** Prefix of the answer's id. */
  idPrefix: string;
  /** Chunks before the first token. */
  begin(header: AnswerHeader): Chunk[];
  token(header: AnswerHeader, token: StreamedToken): Chunk;
  /** The chunk that names the finish reason. */
  end(header: AnswerHeader, result: GenerateResult): Chunk;
  usage(header: AnswerHeader, result: GenerateResult): Chunk;
  whole(header: AnswerHeader, result: GenerateResult): Whole;
}

/** The shape of chat completions. */
export function chatShape({ logprobs, stream_options: options }: ChatParams): AnswerShape<ChatCompletion, ChatChunk> {
  const object = 'chat.completion.chunk' as const;
  const chunk = (
    header: AnswerHeader,
    delta: ChatChunk['choices'][0]['delta'],
    fields: Partial<ChatChunk['choices'][0]> = {},
  ): ChatChunk => ({
    ...header,
    object,
    choices: [{ index: 0, delta, finish_reason: null, logprobs: null, ...fields }],
    ...(options?.include_usage && { usage: null }),
  });
  return {
    idPrefix: 'chatcmpl',
    begin: (header) => [chunk(header, { role: 'assistant', content: '' })],
    token: (header, { token, heldBack }) =>
      chunk(header, { content: token.text }, logprobs && !heldBack ? { logprobs: chatLogprobs([token]) } : {}),
    end: (header, result) => chunk(header, {}, { finish_reason: finishReasonOf(result) }),
    usage: (header, result) => ({ ...header, object, choices: [], usage: usageOf(result) }),
    whole: (header, result) => ({
      ...header,
      object: 'chat.completion',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: result.text },
          finish_reason: finishReasonOf(result),
          logprobs: logprobs ? chatLogprobs(result.tokens) : null,
        },
      ],
      usage: usageOf(result),
    }),
  };
}

/** The shape of text completions. */
export function completionShape({
  logprobs,
  echo,
  prompt,
  stream_options: options,
}: CompletionParams): AnswerShape<Completion, CompletionChunk> {
  const object = 'text_completion' as const;
  const echoed = echo ? prompt : '';
  const chunk = (
    header: AnswerHeader,
    text: string,
    fields: Partial<CompletionChunk['choices'][0]> = {},
  ): CompletionChunk => ({
    ...header,
    object,
    choices: [{ index: 0, text, finish_reason: null, logprobs: null, ...fields }],
    ...(options?.include_usage && { usage: null }),
  });
  const logprobsOf = (tokens: readonly GeneratedToken[], offset: number) =>
    logprobs == null ? null : completionLogprobs(tokens, echoed.length + offset);
  return {
    idPrefix: 'cmpl',
    begin: (header) => (echoed ? [chunk(header, echoed)] : []),
    token: (header, { token, offset, heldBack }) =>
      chunk(header, token.text, { logprobs: heldBack ? null : logprobsOf([token], offset) }),
    end: (header, result) => chunk(header, '', { finish_reason: finishReasonOf(result) }),
    usage: (header, result) => ({ ...header, object, choices: [], usage: usageOf(result) }),
    whole: (header, result) => ({
      ...header,
      object,
      choices: [
        {
          index: 0,
          text: echoed + result.text,
          finish_reason: finishReasonOf(result),
          logprobs: logprobsOf(result.tokens, 0),
        },
      ],
      usage: usageOf(result),
    }),
  };
}
