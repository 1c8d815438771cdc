/** Converts an address that the user pasted to one that serves the file. */
import { MixtabError } from '../../contract/errors.ts';

/** @throws MixtabError `bad-request` unless the text is a web address without name and password */
export function sourceUrl(text: string): string {
  let url: URL;
  try {
    url = new URL(text.trim());
  } catch {
    throw new MixtabError(
      'bad-request',
      `"${text.trim().slice(0, 100)}" is not a web address.`,
      'Paste the address of a .gguf file that begins with https://.',
    );
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw new MixtabError(
      'bad-request',
      `Addresses that begin with ${url.protocol.slice(0, 100)} cannot be read.`,
      'Use an https:// address, or choose a file.',
    );
  }
  if (url.username !== '' || url.password !== '') {
    throw new MixtabError(
      'bad-request',
      'An address with a name or password in it cannot be read.',
      'Leave them out. An access token for Hugging Face has its own field.',
    );
  }
  // On Hugging Face /blob/ is the page about a file, and /resolve/ serves its bytes.
  if (url.hostname === 'huggingface.co')
    url.pathname = url.pathname.replace(/^(\/[^/]+\/[^/]+)\/blob\//, '$1/resolve/');
  return url.href;
}
