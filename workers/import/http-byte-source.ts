/** A file on a web server that supports byte ranges. */
import { MixtabError, throwIfAborted } from '../../src/contract/errors.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import { type ByteSource, checkRange } from './byte-source.ts';
import { checkRangeResponse, type RequestOptions, receiveBody, requestRange } from './http-request.ts';
import { type RetryOptions, TransientError, withRetries } from './retry.ts';

export interface HttpOptions extends RequestOptions, RetryOptions {
  /** Cancels opening the file. Each read has a signal of its own. */
  signal?: AbortSignal;
}

/** Most headers of small models fit into the first response, so that opening and parsing take one request. */
const HEAD_BYTES = 256 * 1024;

/** Identifies the file's content. It must be the same in every response. */
interface Identity {
  size: Bytes;
  etag: string | null;
  lastModified: string | null;
}

/**
 * Reads a file from a web server by byte ranges. Retries broken connections, and checks that the file stays the same.
 */
export class HttpByteSource implements ByteSource {
  readonly name: string;

  private constructor(
    readonly url: string,
    private readonly identity: Identity,
    /** The first bytes of the file, at most HEAD_BYTES. */
    private readonly head: Uint8Array<ArrayBuffer>,
    private readonly options: HttpOptions,
  ) {
    this.name = fileNameOf(url);
  }

  get size(): Bytes {
    return this.identity.size;
  }

  /**
   * Requests the first bytes, which shows the file's size, its identity, and whether the server supports byte ranges.
   * Does not wait for a network that is down: the address may be wrong.
   * @throws MixtabError `source-unreachable`, `source-no-ranges`, `source-gated`, `aborted`
   */
  static async open(url: string, options: HttpOptions = {}): Promise<HttpByteSource> {
    const { signal, retryDelaysMs, access, stallMs } = options;
    const attempt = async (): Promise<HttpByteSource> => {
      const range = await requestRange(url, [0, HEAD_BYTES - 1], options, signal);
      const { response, close } = range;
      // No range of an empty file can be satisfied. Its Content-Range still has the size.
      if (response.status === 416 && /\/0$/.test(response.headers.get('content-range') ?? '')) {
        await close();
        return new HttpByteSource(url, identityOf(response, 0), new Uint8Array(0), options);
      }
      const size = await checkRangeResponse(url, range, 0, access);
      const head = new Uint8Array(Math.min(HEAD_BYTES, size));
      const received = await receiveBody(response, head, { stallMs });
      if (received < head.byteLength) throw new TransientError(`the answer ended after ${received} bytes`);
      return new HttpByteSource(url, identityOf(response, size), head, options);
    };
    return withRetries(url, attempt, { retryDelaysMs, signal });
  }

  async read(offset: Bytes, length: Bytes, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    throwIfAborted(signal);
    checkRange(this, offset, length);
    if (offset + length <= this.head.byteLength) return this.head.slice(offset, offset + length);
    const { retryDelaysMs, onOutage, access, stallMs } = this.options;
    const bytes = new Uint8Array(length);
    let done = 0; // survives a broken connection, so that the next attempt requests only the rest
    const attempt = async (): Promise<void> => {
      const before = done;
      const range = await requestRange(this.url, [offset + done, offset + length - 1], this.options, signal);
      const size = await checkRangeResponse(this.url, range, offset + done, access);
      this.#checkIdentity(identityOf(range.response, size));
      const onProgress = (end: Bytes): void => {
        done = end;
      };
      try {
        done = await receiveBody(range.response, bytes, { start: done, stallMs, onProgress });
      } finally {
        await range.close();
      }
      if (done < length) throw new TransientError(`the answer ended after ${done - before} bytes`);
    };
    await withRetries(this.url, attempt, { retryDelaysMs, onOutage, signal });
    return bytes;
  }

  #checkIdentity(now: Identity): void {
    const { size, etag, lastModified } = this.identity;
    const changed =
      now.size !== size ||
      (etag && now.etag ? etag !== now.etag : lastModified && now.lastModified && lastModified !== now.lastModified);
    if (changed) {
      throw new MixtabError(
        'source-changed',
        `${this.url} changed on the server while it was being read.`,
        'Start the import again.',
      );
    }
  }
}

const identityOf = ({ headers }: Response, size: Bytes): Identity => ({
  size,
  etag: headers.get('etag'),
  lastModified: headers.get('last-modified'),
});

function fileNameOf(url: string): string {
  const path = url.split(/[?#]/)[0]!;
  const last = path.slice(path.lastIndexOf('/') + 1);
  try {
    return decodeURIComponent(last) || url;
  } catch {
    return last || url;
  }
}
