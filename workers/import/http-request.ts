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
import { TransientError } from './retry.ts';

export interface RequestOptions {
  /** Replaces the global `fetch`. */
  fetch?: typeof fetch;
  /** For files that require a login. */
  access?: AccessToken;
  /** A connection without data for this long is closed, and the request repeated. */
  stallMs?: number;
}

const STALL_MS = 30_000;

/** A response whose headers have arrived. */
export interface RangeResponse {
  response: Response;
  /** Closes the connection. Does nothing once the body has been received. */
  close(): Promise<void>;
}

/**
 * Requests the bytes `first` to `last`, both included.
 * @throws MixtabError `aborted`
 * @throws TransientError if there is no response
 */
export async function requestRange(
  url: string,
  [first, last]: [first: Bytes, last: Bytes],
  { fetch: fetchImpl = fetch, access, stallMs = STALL_MS }: RequestOptions,
  signal?: AbortSignal,
): Promise<RangeResponse> {
  const headers = { Range: `bytes=${first}-${last}`, ...authorization(url, access) };
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  signal?.addEventListener('abort', abort, { once: true });
  // No If-Range header: unlike Range, it would make browsers send a CORS preflight request first.
  const timer = setTimeout(abort, stallMs);
  try {
    const response = await fetchImpl(url, { headers, signal: controller.signal });
    return {
      response,
      close: async () => {
        signal?.removeEventListener('abort', abort);
        controller.abort();
      },
    };
  } catch (error) {
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
 * @throws TransientError if the same request may succeed later
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
function responseError(url: string, { status, headers }: Response, access: AccessToken | undefined): Error | undefined {
  if (status >= 500 || status === 429 || status === 408) return new TransientError(`HTTP status ${status}`);
  if ((status === 401 || status === 403) && [HUGGING_FACE, access?.origin].includes(new URL(url).origin)) {
    return gatedError(url, status, access, repositoryPage(url));
  }
  if (status !== 200 && status !== 206) {
    return unreadable(url, `the server answered with HTTP status ${status}`, statusRemedy(status));
  }
  if (/^text\/html/i.test(headers.get('content-type') ?? '')) {
    return unreadable(
      url,
      'the server answered with a web page instead of a file',
      'Check the address; it must lead to the file itself.',
    );
  }
  return undefined;
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
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      onTimeout();
      reject(new TransientError(`no data for ${ms / 1000} s`));
    }, ms);
  });
  try {
    return await Promise.race([promise, timeout]);
  } catch (error) {
    throw error instanceof TransientError ? error : new TransientError(causeOf(error));
  } finally {
    clearTimeout(timer);
  }
}

const unreadable = (url: string, cause: string, remedy: string): MixtabError =>
  new MixtabError('source-unreachable', `${url} cannot be read: ${cause}.`, remedy);

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
