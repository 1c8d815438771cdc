/** Reads a file by offset and length, whatever its source. */
import { MixtabError, throwIfAborted } from '../../src/contract/errors.ts';
import type { Bytes } from '../../src/contract/ids.ts';
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
}

/** A local file. */
export class BlobByteSource implements ByteSource {
  readonly size: Bytes;

  constructor(
    private readonly blob: Blob,
    readonly name: string,
  ) {
    this.size = blob.size;
  }

  async read(offset: Bytes, length: Bytes, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    throwIfAborted(signal);
    checkRange(this, offset, length);
    let buffer: ArrayBuffer;
    try {
      buffer = await this.blob.slice(offset, offset + length).arrayBuffer();
    } catch (error) {
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
