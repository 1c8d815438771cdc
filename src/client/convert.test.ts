import { describe, expect, it } from 'vitest';
import { chatRequest, completionRequest } from './convert.ts';
import type { ChatParams } from './types.ts';

const messages = [{ role: 'user' as const, content: 'Hi' }];

describe('requests', () => {
  it('translates every parameter for the engine', () => {
    expect(
      chatRequest({
        messages,
        max_completion_tokens: 5,
        max_tokens: 9,
        temperature: 0,
        top_p: 0.5,
        top_k: 3,
        min_p: 0.1,
        presence_penalty: -1,
        frequency_penalty: 1,
        repetition_penalty: 1.1,
        seed: 42,
        logit_bias: { 17: -100 },
        stop: ['a', 'b'],
        logprobs: true,
        top_logprobs: 2,
      }),
    ).toEqual({
      input: { kind: 'chat', messages },
      maxTokens: 5,
      sampling: {
        temperature: 0,
        topP: 0.5,
        topK: 3,
        minP: 0.1,
        presencePenalty: -1,
        frequencyPenalty: 1,
        repetitionPenalty: 1.1,
        seed: 42,
        logitBias: { 17: -100 },
      },
      stop: ['a', 'b'],
      topLogprobs: 2,
    });
  });

  it('leaves absent and null parameters to the engine', () => {
    const bare = completionRequest({ prompt: 'Once', stop: null });
    expect(bare).toEqual({ input: { kind: 'text', text: 'Once' }, maxTokens: 1024, sampling: {} });
    expect(completionRequest({ prompt: '', logprobs: 0, response_format: null })).toMatchObject({ topLogprobs: 0 });
    expect(completionRequest({ prompt: '', stop: '.' }).stop).toEqual(['.']);
  });

  it.each([
    { tools: [] },
    { tool_choice: 'none' },
    { tools: [], tool_choice: 'auto' },
    { tools: [{ type: 'function' }], tool_choice: 'none' },
    { functions: [], function_call: 'none' },
    { best_of: 1, suffix: '', modalities: ['text'], audio: null },
    { temperature: null, top_p: null, max_tokens: null, logit_bias: null, response_format: null, n: null, stop: [] },
    { logprobs: null, top_logprobs: null, stream_options: null, seed: null, stream: null },
    { seed: -1 },
  ])('accepts %j, which asks for nothing', (params) => {
    expect(chatRequest({ messages, ...params } as ChatParams)).toEqual(chatRequest({ messages }));
  });

  it('accepts the log-probabilities of the tokens alone, and seeds of any size', () => {
    expect(chatRequest({ messages, logprobs: true, top_logprobs: null })).toMatchObject({ topLogprobs: 0 });
    for (const seed of [0, 2 ** 32, 2 ** 53 - 1, -7, 2 ** 63]) {
      expect(chatRequest({ messages, seed }).sampling).toEqual({ seed });
    }
  });

  it('joins parts of text, and takes a developer for the system and null for an empty text', () => {
    const { input } = chatRequest({
      messages: [
        { role: 'developer', content: 'Be kind.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'a' },
            { type: 'text', text: 'b' },
          ],
        },
        { role: 'assistant', content: null },
        { role: 'user', content: [] },
      ],
    });
    expect(input).toEqual({
      kind: 'chat',
      messages: [
        { role: 'system', content: 'Be kind.' },
        { role: 'user', content: 'ab' },
        { role: 'assistant', content: '' },
        { role: 'user', content: '' },
      ],
    });
  });

  it.each([
    [{ messages: [] }, 'messages'],
    [{ messages: [{ role: 'tool', content: '' }] }, 'messages[0] has the role tool; tools are not supported'],
    [{ messages: [...messages, { role: 'poet', content: '' }] }, 'messages[1] has the role poet'],
    [{ messages: [null] }, 'messages[0] is null'],
    [{ messages: ['Hi'] }, 'messages[0] is Hi'],
    [{ messages: [{ role: 'user' }] }, 'messages[0].content must be text'],
    [{ messages: [{ role: 'user', content: [{ type: 'text' }] }] }, 'messages[0].content has a part of type text'],
    [{ messages: [{ role: 'user', content: [null] }] }, 'messages[0].content has a part'],
    [
      { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:,' } }] }] },
      'messages[0].content has a part of type image_url; only text is supported',
    ],
    [{ messages: [{ role: 'assistant', content: null, tool_calls: [{}] }] }, 'messages[0].tool_calls is not supported'],
    [{ messages, temperature: '1' }, 'temperature is 1'],
    [{ messages, temperature: Number.NaN }, 'temperature'],
    [{ messages, presence_penalty: 3 }, 'presence_penalty'],
    [{ messages, logit_bias: { hello: 1 } }, 'logit_bias names'],
    [{ messages, top_logprobs: 3 }, 'needs logprobs'],
    [{ messages, logprobs: true, top_logprobs: 21 }, 'top_logprobs is 21'],
    [{ messages, stop: ['1', '2', '3', '4', '5'] }, 'stop'],
    [{ messages, stop: '' }, 'stop'],
    [{ messages, n: 2 }, 'n can only be 1'],
    [{ messages, tools: [{ type: 'function' }] }, 'tools is not supported'],
    [{ messages, tools: [{ type: 'function' }], tool_choice: 'auto' }, 'is not supported'],
    [{ messages, tools: [], tool_choice: 'required' }, 'tool_choice is not supported'],
    [{ messages, modalities: ['text', 'audio'] }, 'modalities is not supported'],
    [{ messages, seed: 1.5 }, 'seed is 1.5; it must be a whole number'],
    [{ messages, seed: '7' }, 'seed is 7'],
    [{ messages, response_format: { type: 'grammar' } }, 'response_format has the type grammar'],
    [{ messages, response_format: 'json' }, 'response_format has the type undefined'],
    [{ messages, response_format: { type: 'json_schema' } }, 'must have the schema in json_schema.schema'],
    [{ messages, response_format: { type: 'json_schema', json_schema: { schema: 'x' } } }, 'must have the schema'],
    [{ messages, max_tokens: 0 }, 'max_tokens is 0'],
  ])('rejects %j and names the parameter', (params, message) => {
    expect(() => chatRequest(params as unknown as ChatParams)).toThrow(
      expect.objectContaining({ code: 'bad-request', message: expect.stringContaining(message) }),
    );
  });
});
