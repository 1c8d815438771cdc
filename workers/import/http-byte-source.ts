/** A file on a web server that answers byte ranges. */
import {
  type AccessToken,
  authorization,
  gatedError,
  HUGGING_FACE,
  repositoryPage,
} from '../../src/contract/access-token.ts';
import { aborted, MixtabError, throwIfAborted } from '../../src/contract/errors.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import { type ByteSource, checkRange } from './byte-source.ts';

export interface HttpOptions {
  signal?: AbortSignal;
  fetch?: typeof fetch;
  /** For files that want to know who asks. */
  access?: AccessToken;
  /** Waits before the second, third ... try after a failure that may pass. */
  retryDelaysMs?: readonly number[];
  /** A connection that brings no byte for this long is given up and tried again. */
  stallMs?: number;
  /**
   * Where given, a file that was opened is waited for as long as it takes: the network may be back in an hour. Told the cause
   * once a second try has failed, and undefined when bytes come again.
   */
  onOutage?: (cause: string | undefined) => void;
}

/** About 15 s in all: long enough for a router or a busy server, short enough for a person who waits. */
const RETRY_DELAYS_MS = [500, 1500, 4000, 9000];
const STALL_MS = 30_000;
/** Tries that fail before it is told: one failure is nothing to write home about. */
const NOTIFY_AFTER = 2;
/** Most headers of small models fit the first answer, so that opening and parsing are one request. */
const FIRST_BYTES = 256 * 1024;

/** What must stay the same from answer to answer. */
interface Identity {
  size: Bytes;
  etag: string | null;
  lastModified: string | null;
}

/** Thrown inside for failures that may pass; leaves this module as `source-unreachable`. */
class TransientError extends Error {}

export class HttpByteSource implements ByteSource {
  readonly name: string;

  private constructor(
    readonly url: string,
    private readonly identity: Identity,
    private readonly head: Uint8Array<ArrayBuffer>,
    private readonly options: HttpOptions,
  ) {
    this.name = nameOf(url);
  }

  get size(): Bytes {
    return this.identity.size;
  }

  /**
   * Asks for the first bytes, which tells size, validator and whether the server knows ranges.
   * @throws MixtabError `source-unreachable`, `source-no-ranges`, `aborted`
   */
  static async open(url: string, options: HttpOptions = {}): Promise<HttpByteSource> {
    return withRetries(url, options, options.signal, async () => {
      const { response, stop } = await request(url, 0, FIRST_BYTES - 1, options, options.signal);
      // An empty file has no satisfiable range; its Content-Range still tells the size.
      if (response.status === 416 && /\/0$/.test(response.headers.get('content-range') ?? '')) {
        await stop();
        return new HttpByteSource(url, identityOf(response, 0), new Uint8Array(0), options);
      }
      const { size } = await checkAnswer(url, response, 0, stop, options.access);
      const head = new Uint8Array(Math.min(FIRST_BYTES, size));
      const received = await receive(response, head, 0, options.stallMs ?? STALL_MS);
      if (received < head.byteLength) throw new TransientError(`the answer ended after ${received} bytes`);
      return new HttpByteSource(url, identityOf(response, size), head, options);
    });
  }

  async read(offset: Bytes, length: Bytes, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    throwIfAborted(signal);
    checkRange(this, offset, length);
    if (offset + length <= this.head.byteLength) return this.head.slice(offset, offset + length);
    const bytes = new Uint8Array(length);
    let done = 0; // survives a broken connection: the next try asks for the rest only
    await withRetries(
      this.url,
      this.options,
      signal,
      async () => {
        const before = done;
        const { response, stop } = await request(this.url, offset + done, offset + length - 1, this.options, signal);
        const { size } = await checkAnswer(this.url, response, offset + done, stop, this.options.access);
        this.#checkIdentity(identityOf(response, size));
        try {
          done = await receive(response, bytes, done, this.options.stallMs ?? STALL_MS, (at) => {
            done = at;
          });
        } finally {
          await stop();
        }
        if (done < length) throw new TransientError(`the answer ended after ${done - before} bytes`);
      },
      this.options.onOutage,
    );
    return bytes;
  }

  #checkIdentity(now: Identity): void {
    const { size, etag, lastModified } = this.identity;
    const changed =
      now.size !== size ||
      (etag && now.etag ? etag !== now.etag : lastModified && now.lastModified && lastModified !== now.lastModified);
    if (changed) {
      throw new MixtabError('source-changed', `${this.url} changed while it was read.`, 'Start the import again.');
    }
  }
}

interface Answer {
  response: Response;
  /** Ends the connection; harmless after the body has been read. */
  stop(): Promise<void>;
}

async function request(
  url: string,
  first: Bytes,
  last: Bytes,
  options: HttpOptions,
  signal?: AbortSignal,
): Promise<Answer> {
  const headers = { Range: `bytes=${first}-${last}`, ...authorization(url, options.access) };
  const abort = new AbortController();
  const forward = (): void => abort.abort();
  signal?.addEventListener('abort', forward, { once: true });
  // No If-Range: unlike Range it would make browsers ask a foreign server for leave first.
  const timer = setTimeout(forward, options.stallMs ?? STALL_MS);
  try {
    const response = await (options.fetch ?? fetch)(url, { headers, signal: abort.signal });
    return {
      response,
      stop: async () => {
        signal?.removeEventListener('abort', forward);
        abort.abort();
      },
    };
  } catch (error) {
    throwIfAborted(signal);
    throw new TransientError(abort.signal.aborted ? 'no answer in time' : causeOf(error));
  } finally {
    clearTimeout(timer);
  }
}

/** Checks that the answer is the part that was asked for, and returns the size of the whole file. */
async function checkAnswer(
  url: string,
  response: Response,
  first: Bytes,
  stop: () => Promise<void>,
  access: AccessToken | undefined,
): Promise<{ size: Bytes }> {
  const { status } = response;
  const fail = async (error: Error): Promise<never> => {
    await stop();
    throw error;
  };
  if (status >= 500 || status === 429 || status === 408) return fail(new TransientError(`HTTP status ${status}`));
  if ((status === 401 || status === 403) && [HUGGING_FACE, access?.origin].includes(new URL(url).origin)) {
    return fail(gatedError(url, status, access, repositoryPage(url)));
  }
  if (status !== 200 && status !== 206)
    return fail(unreachable(url, `the server answered with HTTP status ${status}`, statusRemedy(status)));
  if (/^text\/html/i.test(response.headers.get('content-type') ?? '')) {
    return fail(
      unreachable(
        url,
        'the server answered with a web page instead of a file',
        'Check the address; it must lead to the file itself.',
      ),
    );
  }
  const range = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(response.headers.get('content-range') ?? '');
  if (status === 200 || !range) return fail(noRanges(url, status));
  if (Number(range[1]) !== first) return fail(noRanges(url, status));
  return { size: Number(range[3]) };
}

/** Reads the body into `target` from `start`; returns where it ended. */
async function receive(
  response: Response,
  target: Uint8Array,
  start: Bytes,
  stallMs: number,
  onProgress?: (at: Bytes) => void,
): Promise<Bytes> {
  const reader = response.body?.getReader();
  if (!reader) return start;
  let at = start;
  for (;;) {
    const { done, value } = await withTimeout(reader.read(), stallMs, () => void reader.cancel().catch(() => {}));
    if (done || !value) return at;
    const room = target.byteLength - at;
    target.set(value.byteLength > room ? value.subarray(0, room) : value, at);
    at += Math.min(value.byteLength, room);
    onProgress?.(at);
    if (value.byteLength > room) {
      await reader.cancel();
      return at;
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

async function withRetries<T>(
  url: string,
  options: HttpOptions,
  signal: AbortSignal | undefined,
  attempt: () => Promise<T>,
  onOutage?: HttpOptions['onOutage'],
): Promise<T> {
  const delays = options.retryDelaysMs ?? RETRY_DELAYS_MS;
  for (let tries = 0; ; tries++) {
    try {
      const result = await attempt();
      if (tries >= NOTIFY_AFTER) onOutage?.(undefined);
      return result;
    } catch (error) {
      throwIfAborted(signal);
      if (!(error instanceof TransientError)) throw error;
      if (tries >= delays.length && !onOutage) {
        throw unreachable(
          url,
          error.message,
          'Check the address and the connection. Another site must allow this page by CORS.',
        );
      }
      if (tries + 1 >= NOTIFY_AFTER) onOutage?.(error.message);
      await sleep(delays[Math.min(tries, delays.length - 1)]!, signal);
    }
  }
}

/** Ends early when the browser says that the network is back. */
function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const target = globalThis as Partial<Pick<EventTarget, 'addEventListener' | 'removeEventListener'>>; // Node has none
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
      target.removeEventListener?.('online', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    const stop = (): void => {
      clearTimeout(timer);
      target.removeEventListener?.('online', end);
      reject(aborted());
    };
    signal?.addEventListener('abort', stop, { once: true });
    target.addEventListener?.('online', end);
  });
}

const identityOf = ({ headers }: Response, size: Bytes): Identity => ({
  size,
  etag: headers.get('etag'),
  lastModified: headers.get('last-modified'),
});

const unreachable = (url: string, cause: string, remedy: string): MixtabError =>
  new MixtabError('source-unreachable', `${url} cannot be read: ${cause}.`, remedy);

const noRanges = (url: string, status: number): MixtabError =>
  new MixtabError(
    'source-no-ranges',
    status === 206
      ? `${url}: the server's answer has no usable Content-Range header.`
      : `${url}: the server sends the whole file where a part (byte range) was asked for.`,
    'Download the file and choose it here, or use a server that answers byte ranges and exposes Content-Range.',
  );

function statusRemedy(status: number): string {
  if (status === 401 || status === 403) return 'The file needs a login: download it and choose it here.';
  if (status === 404 || status === 410) return 'Check the address; there is no such file.';
  return 'Check the address.';
}

/** fetch hides the cause of network errors in `cause` (Node) or tells nothing at all (browsers). */
function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}

function nameOf(url: string): string {
  const path = url.split(/[?#]/)[0]!;
  const last = path.slice(path.lastIndexOf('/') + 1);
  try {
    return decodeURIComponent(last) || url;
  } catch {
    return last || url;
  }
}
