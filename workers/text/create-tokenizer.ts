/** Makes the tokenizer for a model's vocabulary. */
import { excerpt, MixtabError } from '../../src/contract/errors.ts';
import type { TokenizerData } from '../format/manifest.ts';
import { ByteBpeTokenizer } from './byte-bpe.ts';
import { SentencePieceTokenizer } from './sentencepiece.ts';
import { effectiveTokenTypes } from './special-tokens.ts';
import type { Tokenizer } from './tokenizer.ts';

/**
 * Creates the tokenizer for a model's vocabulary.
 * @throws MixtabError `gguf-unsupported-feature` if the kind of vocabulary is not supported
 */
export function createTokenizer(vocabulary: TokenizerData): Tokenizer {
  const data = { ...vocabulary, tokenTypes: effectiveTokenTypes(vocabulary) };
  if (data.model === 'llama') return new SentencePieceTokenizer(data);
  if (data.model === 'gpt2') return new ByteBpeTokenizer(data);
  throw new MixtabError(
    'gguf-unsupported-feature',
    `The model has a "${excerpt(data.model)}" tokenizer, which mixtab does not support.`,
    'Use another file.',
  );
}
