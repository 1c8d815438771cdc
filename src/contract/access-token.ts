/** Access tokens for gated files: where a token may be sent, and what a server's refusal means. */
import { MixtabError } from './errors.ts';

/** A secret and the only origin that may receive it. Hosts that the origin redirects to do not. */
export interface AccessToken {
  origin: string;
  token: string;
}

/**
 * Request headers with the token, if `url` is at the token's origin. Browsers drop the header on redirects to other
 * origins.
 * @throws MixtabError `source-gated` if the token has characters that no header can contain
 */
export function authorization(url: string, access: AccessToken | undefined): Record<string, string> {
  if (!access || new URL(url).origin !== access.origin) return {};
  // fetch would throw an error that contains the token.
  if (!/^[\x21-\x7e]+$/.test(access.token))
    throw new MixtabError('source-gated', 'The access token has invalid characters.', 'Copy it again.');
  return { Authorization: `Bearer ${access.token}` };
}

/** The site that issues tokens and asks for licences to be accepted. */
export const HUGGING_FACE = 'https://huggingface.co';

/**
 * The error for a file that a server refuses to send.
 * @param what the file or repository, for the message
 * @param status 401 or 403
 * @param page address of the page on which the licence can be accepted
 */
export function gatedError(what: string, status: number, access: AccessToken | undefined, page: string): MixtabError {
  if (!access) {
    return new MixtabError(
      'source-gated',
      `${what} requires a login (HTTP status ${status}): it is gated, private, or does not exist.`,
      `Accept the licence on ${page}, then enter an access token of your account on the models page.`,
    );
  }
  return status === 401
    ? new MixtabError(
        'source-gated',
        `${what}: the access token is not accepted (HTTP status 401).`,
        'Check that it is complete and has not expired, or create another one.',
      )
    : new MixtabError(
        'source-gated',
        `${what}: the account of this access token may not read it (HTTP status 403).`,
        `Accept the licence on ${page} with that account. A fine-grained token must allow reading gated repositories.`,
      );
}

/** The page of the repository that a URL on Hugging Face belongs to. */
export function repositoryPage(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}/${pathname.split('/').slice(1, 3).join('/')}`;
}
