/** A file on a web server that supports byte ranges. */
import { MixtabError, throwIfAborted } from '../../src/contract/errors.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import { memoryFull } from '../store/record-errors.ts';
import { type ByteSource, checkRange } from './byte-source.ts';
import { FileIdentity, type Identity, identityOf, type Sample, sameBytes } from './file-identity.ts';
import {
  checkRangeResponse,
  type RangeRequest,
  type RangeResponse,
  type RequestOptions,
  receiveBody,
  requestRange,
} from './http-request.ts';
import { RefusedError, type RetryOptions, TransientError, withRetries } from './retry.ts';

export interface HttpOptions extends RequestOptions, RetryOptions {
  /** Cancels opening the file. Each read has a signal of its own. */
  signal?: AbortSignal;
}

/** Most headers of small models fit into the first response, so that opening and parsing take one request. */
export const HEAD_BYTES = 256 * 1024;
/** Samples that are compared before an answer with another ETag is believed. */
const COMPARED_SAMPLES = 8;

/**
 * Reads a file from a web server by byte ranges. Retries broken connections and refusals, and checks that the file
 * stays the same.
 */
export class HttpByteSource implements ByteSource {
  readonly name: string;
  readonly size: Bytes;
  readonly #identity: FileIdentity;

  constructor(
    readonly url: string,
    identity: Identity,
    /** The first bytes of the file, which are not requested again. */
    private readonly head: Uint8Array<ArrayBuffer>,
    private readonly options: HttpOptions,
  ) {
    this.name = fileNameOf(url);
    this.size = identity.size;
    this.#identity = new FileIdentity(identity);
    for (let part = 0; part < 4; part++) {
      const offset = Math.floor((head.byteLength * part) / 4);
      this.#identity.remember(offset, head.subarray(offset));
    }
  }

  /**
   * Requests the first bytes, which shows the file's size, its identity, and whether the server supports byte ranges.
   * Does not wait for a network that is down: the address may be wrong.
   * @throws MixtabError `source-unreachable`, `source-no-ranges`, `source-gated`, `aborted`
   */
  static open(url: string, options: HttpOptions = {}): Promise<HttpByteSource> {
    return requestFirst(url, [0, HEAD_BYTES - 1], options, (answer, size) =>
      HttpByteSource.fromAnswer(url, answer, size, options),
    );
  }

  /**
   * Receives the first bytes of an answer that begins with the file's first byte, and closes it.
   * @throws TransientError if the connection breaks
   */
  static async fromAnswer(
    url: string,
    { response, close }: RangeResponse,
    size: Bytes,
    options: HttpOptions,
  ): Promise<HttpByteSource> {
    try {
      const head = new Uint8Array(Math.min(HEAD_BYTES, size));
      const received = await receiveBody(response, head, { stallMs: options.stallMs });
      if (received < head.byteLength) throw new TransientError(`the answer ended after ${received} bytes`);
      return new HttpByteSource(url, identityOf(response, size), head, options);
    } finally {
      await close();
    }
  }

  async read(offset: Bytes, length: Bytes, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    throwIfAborted(signal);
    checkRange(this, offset, length);
    if (offset + length <= this.head.byteLength) return this.head.slice(offset, offset + length);
    return this.#receive(offset, length, false, signal);
  }

  /** Reads from the server, neither from memory nor from the browser's cache. @throws MixtabError see {@link read} */
  async readAgain(offset: Bytes, length: Bytes, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    throwIfAborted(signal);
    checkRange(this, offset, length);
    return this.#receive(offset, length, true, signal);
  }

  /** @param fresh see {@link RangeRequest} */
  async #receive(offset: Bytes, length: Bytes, fresh: boolean, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const { retryDelaysMs, onOutage, onData, stallMs } = this.options;
    const bytes = allocate(this.name, length);
    let done = 0; // survives a broken connection, so that the next attempt requests only the rest
    const onProgress = (end: Bytes): void => {
      done = end;
      onData?.();
    };
    const attempt = async (failures: number): Promise<void> => {
      const before = done;
      const answer = await this.#request([offset + done, offset + length - 1], fresh || failures > 0, signal);
      try {
        done = await receiveBody(answer.response, bytes, { start: done, stallMs, onProgress });
      } finally {
        await answer.close();
      }
      if (done < length) throw new TransientError(`the answer ended after ${done - before} bytes`);
    };
    await withRetries(this.url, attempt, { retryDelaysMs, onOutage, signal });
    this.#identity.remember(offset, bytes);
    return bytes;
  }

  /**
   * Requests a range, and checks that the answer is of the file that was opened.
   * @throws RefusedError if the answer is no such range: the file was opened, so the next answer may be one
   */
  async #request(range: [first: Bytes, last: Bytes], fresh: boolean, signal?: AbortSignal): Promise<RangeResponse> {
    const answer = await requestRange(this.url, { range, fresh, signal }, this.options);
    try {
      const name = await this.#nameOf(answer, range[0]);
      if (!this.#identity.isKnown(name)) await this.#compareContent(name, signal);
      return answer;
    } catch (error) {
      await answer.close();
      throw error instanceof MixtabError && error.code !== 'aborted' ? new RefusedError(error) : error;
    }
  }

  async #nameOf(answer: RangeResponse, first: Bytes): Promise<Identity> {
    const size = await checkRangeResponse(this.url, answer, first, this.options.access);
    return identityOf(answer.response, size);
  }

  /**
   * Accepts another name of the file if its content is still the same at the places that were read before.
   * @throws MixtabError `source-changed` if it is not
   */
  async #compareContent(name: Identity, signal?: AbortSignal): Promise<void> {
    if (name.size !== this.size) throw changed(this.url, `it has ${name.size} bytes instead of ${this.size}`);
    let compared = false; // with an answer that has an unknown name
    for (const sample of this.#identity.samples(COMPARED_SAMPLES)) {
      const { bytes, shown } = await this.#readSample(sample, signal);
      if (!sameBytes(bytes, sample.bytes)) throw changed(this.url, `its bytes at ${sample.offset} are different`);
      compared ||= !this.#identity.isKnown(shown);
    }
    if (!compared) throw new TransientError('several servers answer, and they disagree about the file');
    this.#identity.accept(name);
  }

  async #readSample(
    { offset, bytes: known }: Sample,
    signal?: AbortSignal,
  ): Promise<{ bytes: Uint8Array; shown: Identity }> {
    const range: [Bytes, Bytes] = [offset, offset + known.byteLength - 1];
    const answer = await requestRange(this.url, { range, fresh: true, signal }, this.options);
    try {
      const shown = await this.#nameOf(answer, offset);
      const bytes = new Uint8Array(known.byteLength);
      const end = await receiveBody(answer.response, bytes, { stallMs: this.options.stallMs });
      if (end < bytes.byteLength) throw new TransientError(`the answer ended after ${end} bytes`);
      return { bytes, shown };
    } finally {
      await answer.close();
    }
  }
}

/**
 * Requests the beginning of a file that has not been opened yet.
 * @param use gets the answer and the size of the file; it closes the answer. Called again if it throws a TransientError
 * @throws MixtabError see {@link HttpByteSource.open}
 */
export function requestFirst<T>(
  url: string,
  range: RangeRequest['range'],
  options: HttpOptions,
  use: (answer: RangeResponse, size: Bytes) => Promise<T>,
): Promise<T> {
  const { signal, retryDelaysMs, access } = options;
  const attempt = async (failures: number): Promise<T> => {
    const answer = await requestRange(url, { range, fresh: failures > 0, signal }, options);
    // No range of an empty file can be satisfied. Its Content-Range still has the size.
    const isEmpty = answer.response.status === 416 && /\/0$/.test(answer.response.headers.get('content-range') ?? '');
    return use(answer, isEmpty ? 0 : await checkRangeResponse(url, answer, 0, access));
  };
  return withRetries(url, attempt, { retryDelaysMs, signal });
}

export function allocate(name: string, length: Bytes): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(length);
  } catch {
    throw memoryFull(`to read ${name}`, length);
  }
}

export const changed = (url: string, how: string): MixtabError =>
  new MixtabError(
    'source-changed',
    `${url} was replaced by another file while it was being read: ${how}.`,
    'Import it again. Delete what is stored of the earlier file on the models page.',
  );

function fileNameOf(url: string): string {
  const path = url.split(/[?#]/)[0]!;
  const last = path.slice(path.lastIndexOf('/') + 1);
  try {
    return decodeURIComponent(last) || url;
  } catch {
    return last || url;
  }
}
