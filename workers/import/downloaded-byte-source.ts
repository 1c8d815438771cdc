/** A small file on a web server: downloaded whole, with one request, and read while it arrives. */
import { throwIfAborted } from '../../src/contract/errors.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import { abortable } from '../store/abortable.ts';
import { BufferedByteSource } from './buffered-byte-source.ts';
import { type ByteSource, checkRange } from './byte-source.ts';
import { type Identity, identityOf, sameBytes } from './file-identity.ts';
import { allocate, changed, HEAD_BYTES, HttpByteSource, type HttpOptions, requestFirst } from './http-byte-source.ts';
import { type RangeResponse, receiveBody } from './http-request.ts';
import { TransientError } from './retry.ts';

/** A short read this far ahead of the download, a sample of the weights, waits AHEAD_MS for it at most. */
const AHEAD: Bytes = 1024 * 1024;
const SHORT: Bytes = 64 * 1024;
const AHEAD_MS = 300;
/** After the connection broke, the rest is requested in pieces of this size. */
const PIECE: Bytes = 1024 * 1024;

/**
 * Opens a file. If it is small, its download begins; otherwise it is read by ranges.
 * @param maxBytes size of the largest file that is downloaded
 * @throws MixtabError see {@link HttpByteSource.open}
 */
export function openDownloading(url: string, maxBytes: Bytes, options: HttpOptions = {}): Promise<ByteSource> {
  return requestFirst<ByteSource>(url, [0], options, async (answer, size) =>
    size > maxBytes
      ? new BufferedByteSource(await HttpByteSource.fromAnswer(url, answer, size, options))
      : DownloadedByteSource.fromAnswer(url, answer, size, options),
  );
}

/** Reads what has arrived of a file. A read of what has not waits for it. */
export class DownloadedByteSource implements ByteSource {
  readonly name: string;
  readonly size: Bytes;
  readonly #closing = new AbortController();

  private constructor(
    private readonly arriving: ArrivingBytes,
    private readonly identity: Identity,
    /** For what is needed before it has arrived, and for the rest if the connection breaks. */
    private ranges: HttpByteSource,
    private readonly options: HttpOptions,
  ) {
    this.name = ranges.name;
    this.size = ranges.size;
  }

  /**
   * Begins with an answer that is the whole file. Resolves once its first bytes are there.
   * @throws TransientError if the connection breaks before that
   */
  static async fromAnswer(
    url: string,
    answer: RangeResponse,
    size: Bytes,
    options: HttpOptions,
  ): Promise<DownloadedByteSource> {
    const arriving = new ArrivingBytes(allocate(url, size));
    const onProgress = (end: Bytes): void => {
      arriving.reach(end);
      options.onData?.();
    };
    const received = receiveBody(answer.response, arriving.bytes, { stallMs: options.stallMs, onProgress })
      .then((end) => {
        if (end < size) throw new TransientError(`the answer ended after ${end} bytes`);
      })
      .finally(() => answer.close());
    const head = Math.min(HEAD_BYTES, size);
    await Promise.race([received, arriving.until(head)]);
    const identity = identityOf(answer.response, size);
    const ranges = new HttpByteSource(url, identity, arriving.bytes.subarray(0, head), options);
    const source = new DownloadedByteSource(arriving, identity, ranges, options);
    void source.#receive(received, answer.close);
    return source;
  }

  get arrived(): Bytes {
    return this.arriving.end;
  }

  async read(offset: Bytes, length: Bytes, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    throwIfAborted(signal);
    checkRange(this, offset, length);
    const arrival = this.arriving.until(offset + length);
    if (length <= SHORT && offset > this.arrived + AHEAD && !(await isSettledWithin(AHEAD_MS, arrival))) {
      return this.ranges.read(offset, length, signal);
    }
    await (signal ? abortable(signal, arrival) : arrival);
    return this.arriving.bytes.slice(offset, offset + length);
  }

  /** @throws MixtabError `source-changed` if the server has other bytes now than those that have arrived */
  async readAgain(offset: Bytes, length: Bytes, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const [bytes, again] = [
      await this.read(offset, length, signal),
      await this.ranges.readAgain(offset, length, signal),
    ];
    if (sameBytes(bytes, again)) return again;
    throw changed(this.ranges.url, `its bytes at ${offset} are different`);
  }

  close(): void {
    this.#closing.abort();
  }

  /**
   * Waits for the answer, and requests the rest of the file if the connection breaks.
   * @param closeAnswer ends the connection
   */
  async #receive(received: Promise<void>, closeAnswer: () => Promise<void>): Promise<void> {
    const { signal } = this.options;
    const { signal: closing } = this.#closing;
    const close = (): void => this.close();
    signal?.addEventListener('abort', close);
    closing.addEventListener('abort', () => void closeAnswer());
    if (signal?.aborted) close();
    try {
      await received.catch((error: unknown) => {
        throwIfAborted(closing);
        if (!(error instanceof TransientError)) throw error;
        return this.#requestRest();
      });
    } catch (error) {
      this.arriving.fail(error);
    } finally {
      signal?.removeEventListener('abort', close);
    }
  }

  async #requestRest(): Promise<void> {
    const { bytes } = this.arriving;
    // All that has arrived is compared with the file if another server continues.
    const arrived = bytes.subarray(0, this.arrived);
    this.ranges = new HttpByteSource(this.ranges.url, this.identity, arrived, this.options);
    while (this.arrived < this.size) {
      const start = this.arrived;
      const piece = await this.ranges.read(start, Math.min(PIECE, this.size - start), this.#closing.signal);
      bytes.set(piece, start);
      this.arriving.reach(start + piece.byteLength);
    }
  }
}

/** Memory that fills from its start. */
class ArrivingBytes {
  /** Where the bytes that have arrived end. */
  end: Bytes = 0;
  #failure: { error: unknown } | undefined;
  /** Each is called once more has arrived, or nothing more will. */
  #waiting: (() => void)[] = [];

  constructor(readonly bytes: Uint8Array<ArrayBuffer>) {}

  reach(end: Bytes): void {
    this.end = end;
    this.#wake();
  }

  /** Nothing more arrives. */
  fail(error: unknown): void {
    this.#failure = { error };
    this.#wake();
  }

  /** Waits until all bytes before `end` have arrived. @throws the error of {@link fail} */
  async until(end: Bytes): Promise<void> {
    while (this.end < end) {
      if (this.#failure) throw this.#failure.error;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** Whether a promise settles within some milliseconds. */
async function isSettledWithin(ms: number, promise: Promise<void>): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
