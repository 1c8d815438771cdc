/** What byte-level BPE vocabularies have in common. */

/** Ways of byte-level BPE to cut words that mixtab knows, by the names of `tokenizer.ggml.pre`. */
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
  { /** Whether BOS is put in front where the file does not say. */ addBos: boolean }
>;

export type PreTokenizerName = keyof typeof PRE_TOKENIZERS;
export const isPreTokenizer = (name: string): name is PreTokenizerName => Object.hasOwn(PRE_TOKENIZERS, name);

/** The character that stands for each byte in such vocabularies (GPT-2's alphabet): printable bytes of Latin-1 are themselves, the others follow from U+0100 on. */
export const BYTE_CHARACTERS: readonly string[] = (() => {
  const isPrintable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte !== 0xad);
  let other = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : other++));
})();
