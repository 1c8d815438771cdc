/** Ready-made synthetic models. */
import type { SynthOptions } from './synth.ts';

/** Mixtral 8x7B's shape. */
const MIXTRAL_8X7B = {
  layers: 32,
  embeddingLength: 4096,
  feedForwardLength: 14336,
  headCount: 32,
  kvHeadCount: 8,
  expertCount: 8,
  expertsPerToken: 2,
  vocabularySize: 32000,
  contextLength: 32768,
  layout: 'merged',
  seed: 1,
} as const;

/** Mixtral 8x22B's shape, with the vocabulary size of its instruct version. */
const MIXTRAL_8X22B = {
  ...MIXTRAL_8X7B,
  layers: 56,
  embeddingLength: 6144,
  feedForwardLength: 16384,
  headCount: 48,
  vocabularySize: 32768,
  contextLength: 65536,
} as const;

/** Mistral's instruct format as a Jinja template, in its shortest published form. */
export const MISTRAL_TEMPLATE =
  "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}" +
  "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}" +
  "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}" +
  "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token }}" +
  "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}";

/** `tiny` is for tests. The other two have the shape and the size (26 and 79 GB) of the real models. */
export const SYNTH_PRESETS = {
  tiny: {
    layers: 2,
    embeddingLength: 256,
    feedForwardLength: 256,
    headCount: 4,
    kvHeadCount: 2,
    expertCount: 8,
    expertsPerToken: 2,
    vocabularySize: 512,
    contextLength: 256,
    layout: 'merged',
    seed: 1,
    types: { attention: 'Q8_0', experts: 'Q4_K', down: 'Q4_K', embedding: 'Q4_K', output: 'Q6_K', router: 'F32' },
    chatTemplate: MISTRAL_TEMPLATE,
  },
  '8x7b': {
    ...MIXTRAL_8X7B,
    types: { attention: 'Q4_K', experts: 'Q4_K', down: 'Q4_K', embedding: 'Q4_K', output: 'Q6_K', router: 'F32' },
    chatTemplate: MISTRAL_TEMPLATE,
  },
  '8x22b': {
    ...MIXTRAL_8X22B,
    types: { attention: 'Q4_K', experts: 'Q4_K', down: 'Q4_K', embedding: 'Q4_K', output: 'Q6_K', router: 'F32' },
    chatTemplate: MISTRAL_TEMPLATE,
  },
} satisfies Record<string, SynthOptions>;
