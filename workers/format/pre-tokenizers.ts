/** What all byte-level BPE vocabularies share: the names of their pre-tokenizers and the byte alphabet. */

/**
 * The supported values of `tokenizer.ggml.pre`, which names how a text is cut into words before merging. The regular
 * expressions are in `workers/text/pre-tokenizers.ts`.
 */
export const PRE_TOKENIZERS = {
  default: { addBos: false },
  'gpt-2': { addBos: false },
  'llama-bpe': { addBos: true },
  llama3: { addBos: true },
  'smaug-bpe': { addBos: false },
  dbrx: { addBos: false },
  qwen2: { addBos: false },
  tekken: { addBos: true },
} as const satisfies Record<
  string,
  { /** Whether a prompt begins with BOS if the file has no `add_bos_token`. */ addBos: boolean }
>;

/** A supported value of `tokenizer.ggml.pre`. */
export type PreTokenizerName = keyof typeof PRE_TOKENIZERS;
/** Whether a value of `tokenizer.ggml.pre` is supported. */
export const isPreTokenizer = (name: string): name is PreTokenizerName => Object.hasOwn(PRE_TOKENIZERS, name);

/**
 * GPT-2's alphabet: the character that stands for each byte. Printable Latin-1 bytes stand for themselves, the other
 * bytes are U+0100 and up, in order.
 */
export const BYTE_CHARACTERS: readonly string[] = (() => {
  const isPrintable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte !== 0xad);
  let other = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : other++));
})();
