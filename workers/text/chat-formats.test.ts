import { expect, it } from 'vitest';
import type { ChatFormat, ChatMessage } from '../../src/contract/engine-api.ts';
import { templateOf } from './chat-formats.ts';
import { renderChat } from './chat-template.ts';
import { endTextsOf } from './special-tokens.ts';

const TOKENS = { bosToken: '<s>', eosToken: '</s>' };
const conversation: ChatMessage[] = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'Q?' },
  { role: 'assistant', content: 'A.' },
  { role: 'user', content: 'Why?' },
];

// As the formats' authors have published them.
it.each([
  ['mistral', '<s>[INST] Be brief.\n\nQ? [/INST] A.</s>[INST] Why? [/INST]'],
  [
    'chatml',
    '<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nQ?<|im_end|>\n<|im_start|>assistant\nA.<|im_end|>\n' +
      '<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n',
  ],
  ['alpaca', 'Be brief.\n\n### Instruction:\nQ?\n\n### Response:\nA.</s>\n\n### Instruction:\nWhy?\n\n### Response:\n'],
] as [ChatFormat, string][])('writes %s', (format, expected) => {
  expect(renderChat(templateOf(format), conversation, TOKENS)).toBe(expected);
});

it('names an unknown format', () => {
  expect(() => templateOf('toString' as ChatFormat)).toThrow(expect.objectContaining({ code: 'bad-request' }));
});

it('the end of a message that the vocabulary does not have ends an answer as a text', () => {
  const tokens = ['<s>', '</s>', '<|im', '_end|>'];
  expect(endTextsOf({ tokens, chatTemplate: templateOf('chatml') })).toEqual(['<|im_end|>']);
  expect(endTextsOf({ tokens: [...tokens, '<|im_end|>'], chatTemplate: templateOf('chatml') })).toEqual([]);
  expect(endTextsOf({ tokens, chatTemplate: templateOf('mistral') })).toEqual([]);
  expect(endTextsOf({ tokens })).toEqual([]);
});
