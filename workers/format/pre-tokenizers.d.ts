/** What byte-level BPE vocabularies have in common. */
/** Ways of byte-level BPE to cut words that mixtab knows, by the names of `tokenizer.ggml.pre`. */
export declare const PRE_TOKENIZERS: {
  readonly default: {
    readonly addBos: false;
  };
  readonly 'gpt-2': {
    readonly addBos: false;
  };
  readonly 'llama-bpe': {
    readonly addBos: true;
  };
  readonly llama3: {
    readonly addBos: true;
  };
  readonly 'smaug-bpe': {
    readonly addBos: false;
  };
  readonly dbrx: {
    readonly addBos: false;
  };
  readonly qwen2: {
    readonly addBos: false;
  };
  readonly tekken: {
    readonly addBos: true;
  };
};
export type PreTokenizerName = keyof typeof PRE_TOKENIZERS;
export declare const isPreTokenizer: (name: string) => name is PreTokenizerName;
/** The character that stands for each byte in such vocabularies (GPT-2's alphabet): printable bytes of Latin-1 are themselves, the others follow from U+0100 on. */
export declare const BYTE_CHARACTERS: readonly string[];
