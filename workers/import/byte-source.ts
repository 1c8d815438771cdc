/** Reads a file by offset and length, whatever its source. */
import { MixtabError, throwIfAborted } from '../../src/contract/errors.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import { within } from '../../src/contract/within.ts';
import { isAllocationFailure, memoryFull } from '../store/record-errors.ts';

/** A file, or several files read as one, of which byte ranges can be read. */
export interface ByteSource {
  /** File name, for messages and lists. */
  readonly name: string;
  readonly size: Bytes;
  /** The files of a split GGUF, in order. */
  readonly parts?: readonly ByteSource[];
  /**
   * Reads exactly `length` bytes from `offset`, into a buffer of their own. The range must be inside the file.
   * @throws MixtabError `source-unreachable`, `source-changed`, `aborted`
   */
  read(offset: Bytes, length: Bytes, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
  /** How many bytes from the start of the file can be read without waiting. Absent: every read waits. */
  readonly arrived?: Bytes;
  /**
   * Reads from where the file comes from, even if `read` has kept these bytes. Absent: `read` does.
   * @throws MixtabError what `read` throws
   */
  readAgain?(offset: Bytes, length: Bytes, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
  /** Nothing more will be read. */
  close?(): void;
}

/** A local file. */
export class BlobByteSource implements ByteSource {
  readonly size: Bytes;

  /** @param patienceMs how long one read may take; default: without a limit */
  constructor(
    private readonly blob: Blob,
    readonly name: string,
    private readonly patienceMs?: number,
  ) {
    this.size = blob.size;
  }

  async read(offset: Bytes, length: Bytes, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    throwIfAborted(signal);
    checkRange(this, offset, length);
    let buffer: ArrayBuffer;
    try {
      buffer = await this.#inTime(this.blob.slice(offset, offset + length).arrayBuffer());
    } catch (error) {
      if (error instanceof MixtabError) throw error;
      if (isAllocationFailure(error)) throw memoryFull(`to read ${this.name}`, length);
      // Browsers refuse to read a File whose size or modification time has changed since it was chosen.
      throw new MixtabError(
        'source-changed',
        `${this.name} can no longer be read: ${(error as Error).message}`,
        'Choose the file again.',
      );
    }
    throwIfAborted(signal);
    if (buffer.byteLength !== length)
      throw new MixtabError('source-changed', `${this.name} became shorter.`, 'Choose the file again.');
    return new Uint8Array(buffer);
  }

  /** @throws MixtabError `source-unreachable` if the browser or the disk does not answer */
  #inTime<T>(read: Promise<T>): Promise<T> {
    const { patienceMs: ms } = this;
    if (ms === undefined) return read;
    const notRead = (): MixtabError =>
      new MixtabError(
        'source-unreachable',
        `${this.name} could not be read: the disk has not answered for ${ms / 1000} s.`,
        'See that its disk is connected and its files are on this computer, then choose the file again.',
      );
    return within(ms, read, notRead);
  }
}

/**
 * Checks that a range is inside the file.
 * @throws RangeError a programming error: callers compare ranges with the file's size before they read
 */
export function checkRange({ name, size }: ByteSource, offset: Bytes, length: Bytes): void {
  if (!(offset >= 0 && length >= 0 && offset + length <= size)) {
    throw new RangeError(`bytes ${offset}+${length} are outside ${name} (${size} bytes)`);
  }
}
