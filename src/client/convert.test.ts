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
    [{ messages: [] }, 'messages'],
    [{ messages: [{ role: 'tool', content: '' }] }, 'messages has the role tool'],
    [{ messages: [{ role: 'user', content: [{ type: 'text' }] }] }, 'messages must have text'],
    [{ messages, temperature: '1' }, 'temperature is 1'],
    [{ messages, temperature: Number.NaN }, 'temperature'],
    [{ messages, presence_penalty: 3 }, 'presence_penalty'],
    [{ messages, logit_bias: { hello: 1 } }, 'logit_bias names'],
    [{ messages, top_logprobs: 3 }, 'needs logprobs'],
    [{ messages, logprobs: true, top_logprobs: 21 }, 'top_logprobs is 21'],
    [{ messages, stop: ['1', '2', '3', '4', '5'] }, 'stop'],
    [{ messages, stop: '' }, 'stop'],
    [{ messages, n: 2 }, 'n can only be 1'],
    [{ messages, tools: [] }, 'tools is not supported'],
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
