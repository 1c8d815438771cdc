/** One HTTP request for a byte range: sending it, checking the response, receiving its body. */
import {
  type AccessToken,
  authorization,
  gatedError,
  HUGGING_FACE,
  repositoryPage,
} from '../../src/contract/access-token.ts';
import { MixtabError, throwIfAborted } from '../../src/contract/errors.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import { sendRequest } from '../../src/contract/request-lock.ts';
import { within } from '../../src/contract/within.ts';
import { RefusedError, TransientError } from './retry.ts';

export interface RequestOptions {
  /** Replaces the global `fetch`. */
  fetch?: typeof fetch;
  /** For files that require a login. */
  access?: AccessToken;
  /** A connection without data for this long is closed, and the request repeated. */
  stallMs?: number;
  /** Called whenever data arrives. */
  onData?: () => void;
}

const STALL_MS = 30_000;

/** A response whose headers have arrived. */
export interface RangeResponse {
  response: Response;
  /** Closes the connection. Does nothing once the body has been received. */
  close(): Promise<void>;
}

export interface RangeRequest {
  /** First and last byte, both included; without a last one, the range ends with the file. */
  range: [first: Bytes, last?: Bytes];
  /** Ignores the browser's cache, which may hold the answer or the redirect that has just failed. */
  fresh?: boolean;
  signal?: AbortSignal | undefined;
}

/**
 * Requests a range of bytes. Always begins at `url` itself: the address that it was redirected to before may have
 * expired.
 * @throws MixtabError `aborted`
 * @throws TransientError if there is no response
 */
export async function requestRange(
  url: string,
  { range: [first, last], fresh = false, signal }: RangeRequest,
  { fetch: fetchImpl = fetch, access, stallMs = STALL_MS }: RequestOptions,
): Promise<RangeResponse> {
  const headers = { Range: `bytes=${first}-${last ?? ''}`, ...authorization(url, access) };
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  signal?.addEventListener('abort', abort, { once: true });
  // No If-Range header: unlike Range, it would make browsers send a CORS preflight request first.
  const timer = setTimeout(abort, stallMs);
  try {
    const init = { headers, signal: controller.signal, ...(fresh && { cache: 'no-store' as const }) };
    const response = await sendRequest(() => fetchImpl(url, init));
    return {
      response,
      close: async () => {
        signal?.removeEventListener('abort', abort);
        controller.abort();
      },
    };
  } catch (error) {
    signal?.removeEventListener('abort', abort);
    throwIfAborted(signal);
    throw new TransientError(controller.signal.aborted ? 'no answer in time' : causeOf(error));
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Checks that a response is the range that begins at `first`. Closes the connection otherwise.
 * @returns the size of the whole file
 * @throws MixtabError `source-gated`, `source-unreachable`, `source-no-ranges`
 * @throws TransientError or RefusedError if the same request may succeed later
 */
export async function checkRangeResponse(
  url: string,
  { response, close }: RangeResponse,
  first: Bytes,
  access: AccessToken | undefined,
): Promise<Bytes> {
  const range = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(response.headers.get('content-range') ?? '');
  const error = responseError(url, response, access) ?? rangeError(url, response.status, range, first);
  if (!error) return Number(range![3]);
  await close();
  throw error;
}

/** Why the response is not the file; undefined if it may be. */
function responseError(url: string, response: Response, access: AccessToken | undefined): Error | undefined {
  const { status, headers } = response;
  if (status >= 500 || status === 429 || status === 408) return new TransientError(`HTTP status ${status}`);
  if (status === 401 || status === 403) return refusedError(url, response, access);
  if (status !== 200 && status !== 206) {
    return new HttpStatusError(url, status, `the server answered with HTTP status ${status}`, statusRemedy(status));
  }
  if (/^text\/html/i.test(headers.get('content-type') ?? '')) {
    return new HttpStatusError(
      url,
      status,
      'the server answered with a web page instead of a file',
      'Check the address; it must lead to the file itself.',
    );
  }
  return undefined;
}

/**
 * Only the address's own origin asks for tokens. A host that it redirects to refuses because the signature in the
 * redirect has expired or was made for somebody else; the address itself gives a new one.
 */
function refusedError(url: string, response: Response, access: AccessToken | undefined): Error {
  const { status } = response;
  const elsewhere = redirectedTo(url, response);
  if (elsewhere !== undefined) {
    const cause = `${elsewhere}, which it redirects to, answered with HTTP status ${status}`;
    return new RefusedError(new HttpStatusError(url, status, cause, 'Try again later.'));
  }
  if ([HUGGING_FACE, access?.origin].includes(new URL(url).origin)) {
    return gatedError(url, status, access, repositoryPage(url));
  }
  return new HttpStatusError(url, status, `the server answered with HTTP status ${status}`, statusRemedy(status));
}

/** The host that a response came from, if it is at another origin than the address. */
function redirectedTo(url: string, response: Response): string | undefined {
  if (response.url === '') return undefined; // not from the network, as in tests
  const last = new URL(response.url);
  return last.origin === new URL(url).origin ? undefined : last.host;
}

/** Why the response is not the requested range; undefined if it is. */
function rangeError(
  url: string,
  status: number,
  contentRange: RegExpExecArray | null,
  first: Bytes,
): MixtabError | undefined {
  if (status === 206 && contentRange && Number(contentRange[1]) === first) return undefined;
  return new MixtabError(
    'source-no-ranges',
    status === 206
      ? `${url}: the server's answer has no usable Content-Range header.`
      : `${url}: the server sends the whole file when asked for a part (byte range).`,
    'Download the file and choose it here, or use a server that answers byte ranges and exposes Content-Range.',
  );
}

export interface ReceiveOptions {
  /** Where in the target the body begins; default: 0. */
  start?: Bytes;
  stallMs?: number | undefined;
  /** Called after each piece with the end of what has been received, as an offset in the target. */
  onProgress?: (end: Bytes) => void;
}

/**
 * Reads the body into `target`. Bytes beyond its end are discarded.
 * @returns where the body ended, as an offset in `target`
 * @throws TransientError if the connection breaks or stalls
 */
export async function receiveBody(
  response: Response,
  target: Uint8Array,
  { start = 0, stallMs = STALL_MS, onProgress }: ReceiveOptions = {},
): Promise<Bytes> {
  const reader = response.body?.getReader();
  if (!reader) return start;
  let end = start;
  for (;;) {
    const { done, value } = await withTimeout(reader.read(), stallMs, () => void reader.cancel().catch(() => {}));
    if (done || !value) return end;
    const space = target.byteLength - end;
    target.set(value.byteLength > space ? value.subarray(0, space) : value, end);
    end += Math.min(value.byteLength, space);
    onProgress?.(end);
    if (value.byteLength > space) {
      await reader.cancel();
      return end;
    }
  }
}

async function withTimeout<T>(promise: Promise<T>, ms: number, onTimeout: () => void): Promise<T> {
  try {
    return await within(ms, promise, () => {
      onTimeout();
      return new TransientError(`no data for ${ms / 1000} s`);
    });
  } catch (error) {
    throw error instanceof TransientError ? error : new TransientError(causeOf(error));
  }
}

/** The server answered, but not with the file. */
export class HttpStatusError extends MixtabError {
  constructor(
    url: string,
    readonly status: number,
    cause: string,
    remedy: string,
  ) {
    super('source-unreachable', `${url} cannot be read: ${cause}.`, remedy);
  }
}

function statusRemedy(status: number): string {
  if (status === 401 || status === 403) return 'The file needs a login: download it and choose it here.';
  if (status === 404 || status === 410) return 'Check the address; there is no such file.';
  return 'Check the address.';
}

/** For network errors, Node puts the reason into `cause`; browsers hide it. */
function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}
