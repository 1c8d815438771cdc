import { describe, expect, it } from 'vitest';
import { sourceUrl } from './source-url.ts';

describe('sourceUrl', () => {
  it('turns the page of a Hugging Face file into its download address', () => {
    expect(sourceUrl(' https://huggingface.co/a/b/blob/main/x.gguf ')).toBe(
      'https://huggingface.co/a/b/resolve/main/x.gguf',
    );
    expect(sourceUrl('https://huggingface.co/a/blob/resolve/main/x.gguf')).toBe(
      'https://huggingface.co/a/blob/resolve/main/x.gguf',
    );
    expect(sourceUrl('https://example.org/a/b/blob/x.gguf')).toBe('https://example.org/a/b/blob/x.gguf');
  });

  it('refuses a password in an address, and does not repeat it', () => {
    expect(() => sourceUrl('https://me:hf_secret@huggingface.co/a/b')).toThrow(/^An address with a name or password/);
  });

  it('refuses text that is not a web address', () => {
    expect(() => sourceUrl('mixtral')).toThrow(/not a web address/);
    expect(() => sourceUrl('file:///x.gguf')).toThrow(/file:/);
  });
});
