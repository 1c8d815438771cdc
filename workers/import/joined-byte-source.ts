/** Several files read as one. */
import type { Bytes } from '../../src/contract/ids.ts';
import { parseSplitName } from '../format/gguf/split.ts';
import { type ByteSource, checkRange } from './byte-source.ts';

/** The concatenation of several files. */
export class JoinedByteSource implements ByteSource {
  readonly size: Bytes;

  constructor(
    readonly name: string,
    private readonly files: readonly ByteSource[],
  ) {
    this.size = files.reduce((sum, { size }) => sum + size, 0);
  }

  async read(offset: Bytes, length: Bytes, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    checkRange(this, offset, length);
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    let fileStart = 0;
    for (const file of this.files) {
      const start = Math.max(offset, fileStart);
      const end = Math.min(offset + length, fileStart + file.size);
      if (end > start) pieces.push(await file.read(start - fileStart, end - start, signal));
      fileStart += file.size;
    }
    if (pieces.length === 1) return pieces[0];
    const bytes = new Uint8Array(length);
    let done = 0;
    for (const piece of pieces) {
      bytes.set(piece, done);
      done += piece.byteLength;
    }
    return bytes;
  }
}

/** The parts of a split GGUF, in order. Each part has its own header. */
export class SplitByteSource extends JoinedByteSource {
  constructor(readonly parts: readonly ByteSource[]) {
    const [{ name }] = parts;
    super(`${parseSplitName(name)?.prefix ?? name.replace(/\.gguf$/i, '')}.gguf`, parts);
  }
}
