/** Chooses the tokenizer that a model's vocabulary asks for. */
import { MixtabError } from '../../src/contract/errors.ts';
import type { TokenizerData } from '../format/manifest.ts';
import { ByteBpeTokenizer } from './byte-bpe.ts';
import { SentencePieceTokenizer } from './sentencepiece.ts';
import { effectiveTokenTypes } from './special-tokens.ts';
import type { Tokenizer } from './tokenizer.ts';

/** @throws MixtabError `gguf-unsupported-feature` for a vocabulary of another kind */
export function createTokenizer(given: TokenizerData): Tokenizer {
  const data = { ...given, tokenTypes: effectiveTokenTypes(given) };
  if (data.model === 'llama') return new SentencePieceTokenizer(data);
  if (data.model === 'gpt2') return new ByteBpeTokenizer(data);
  throw new MixtabError(
    'gguf-unsupported-feature',
    `The tokenizer "${data.model}" is not supported.`,
    'Use another file.',
  );
}
