/** Files that want to know who asks: an access token, where it may be sent, and what a refusal means. */
import { MixtabError } from './errors.ts';

/** A secret, and the only origin that may see it: redirects lead to other hosts, and those don't get it. */
export interface AccessToken {
  origin: string;
  token: string;
}

/** Header names with the token, for its own origin only; browsers drop the header where an answer redirects to another one. */
export function authorization(url: string, access: AccessToken | undefined): Record<string, string> {
  if (!access || new URL(url).origin !== access.origin) return {};
  // What no header can hold would be quoted in the browser's error.
  if (!/^[\x21-\x7e]+$/.test(access.token))
    throw new MixtabError('source-gated', 'The access token has characters that none has.', 'Copy it again.');
  return { Authorization: `Bearer ${access.token}` };
}

/** Where tokens are made and licences accepted. */
export const HUGGING_FACE = 'https://huggingface.co';

/**
 * Why a server refuses a file, and what to do about it.
 * @param status 401 or 403
 * @param page where the file's licence can be accepted
 */
export function gatedError(what: string, status: number, access: AccessToken | undefined, page: string): MixtabError {
  if (!access) {
    return new MixtabError(
      'source-gated',
      `${what} wants to know who reads it (HTTP status ${status}): it is gated, private, or not there.`,
      `Accept the licence on ${page}, then enter an access token of your account on the models page.`,
    );
  }
  return status === 401
    ? new MixtabError(
        'source-gated',
        `${what}: the access token is not accepted (HTTP status 401).`,
        'Check that it is whole and has not expired, or make another one.',
      )
    : new MixtabError(
        'source-gated',
        `${what}: the account of this access token may not read it (HTTP status 403).`,
        `Accept the licence on ${page} with that account; a fine-grained token must allow to read gated repositories.`,
      );
}

/** The page of the repository that an address on Hugging Face leads into. */
export function repositoryPage(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}/${pathname.split('/').slice(1, 3).join('/')}`;
}
