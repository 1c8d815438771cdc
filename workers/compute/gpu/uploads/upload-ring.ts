/** Uploads through staging buffers that are filled while they are mapped, copied from, and mapped again. */
import type { Bytes } from '../../../../src/contract/ids.ts';
import type { RecordParts } from '../../../format/record-parts.ts';
import { type StagedRecord, type UploadPiece, type Uploads, writePiece } from './upload-piece.ts';

/** An upload of less than this share of a staging buffer is written: unmapping passes all of the buffer to the GPU. */
const LEAST_SHARE = 0.5;
/** Records that are not uploaded yet fill this share of a ring at most. The rest is for what can be uploaded at once. */
const STAGED_SHARE = 0.5;

/** A mapped staging buffer. */
interface Staging {
  buffer: GPUBuffer;
  /** Its memory; undefined before its first use. */
  range: Uint8Array | undefined;
  /** How many bytes of it are filled: a multiple of 4. */
  filled: Bytes;
}

/** Bytes of a part that are in a staging buffer. */
interface StagedRange {
  staging: Staging;
  /** Where in the staging buffer. */
  at: Bytes;
  /** Where in the part's ArrayBuffer. */
  from: Bytes;
  length: Bytes;
}

/** The staging buffers that one record fills, the newest last. */
class Filling {
  readonly stagings: Staging[] = [];
  /** What has been copied so far, by the part's buffer, in ascending order. */
  readonly ranges = new Map<ArrayBuffer, StagedRange[]>();
}

/**
 * A ring of staging buffers. A large upload fills those that are mapped at that moment. What finds none is written with
 * `writeBuffer`, so an upload never waits, and a buffer that the GPU does not map again is only missed. A record that is
 * still being read can fill some before its upload.
 */
export class UploadRing implements Uploads {
  /** The staging buffers that are not destroyed. */
  readonly #all = new Set<GPUBuffer>();
  /** Those that are mapped and empty, the one that has waited longest first. */
  readonly #mapped: Staging[] = [];
  /** Records that hold staging buffers before their upload. */
  readonly #early = new Set<Filling>();
  /** Those that have been read completely. */
  readonly #complete = new WeakMap<RecordParts, Filling>();

  /**
   * @param bytes of all staging buffers together; rounded up to whole ones
   * @param stagingBytes of each of them: a multiple of 4
   */
  constructor(
    readonly device: GPUDevice,
    bytes: Bytes,
    private readonly stagingBytes: Bytes,
  ) {
    for (let size = 0; size < bytes; size += stagingBytes) {
      const staging = createMapped(device, stagingBytes);
      if (!staging) break;
      this.#all.add(staging);
      this.#mapped.push({ buffer: staging, range: undefined, filled: 0 });
    }
  }

  get bytes(): Bytes {
    return this.#all.size * this.stagingBytes;
  }

  stage(): StagedRecord | undefined {
    if (this.#all.size === 0) return undefined;
    let filling = new Filling();
    return {
      add: (part) => {
        const ranges = this.#fill(filling, part, () => this.#nextForEarly(filling));
        filling.ranges.set(part.buffer, ranges);
      },
      complete: (record) => {
        if (this.#early.has(filling)) this.#complete.set(record, filling);
      },
      reset: () => {
        this.#release(filling);
        filling = new Filling();
      },
    };
  }

  forget(record: RecordParts): void {
    const filling = this.#complete.get(record);
    if (filling) this.#release(filling);
  }

  upload(pieces: readonly UploadPiece[], record?: RecordParts): void {
    const early = record && this.#complete.get(record);
    const filling = early && this.#early.delete(early) ? early : new Filling();
    if (record) this.#complete.delete(record);
    const total = pieces.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
    const isSmall = filling.stagings.length === 0 && total < LEAST_SHARE * this.stagingBytes;
    if (isSmall) for (const piece of pieces) writePiece(this.device, piece);
    else this.#copy(pieces, filling);
  }

  destroy(): void {
    for (const staging of this.#all) staging.destroy();
    this.#all.clear();
    this.#mapped.length = 0;
    this.#early.clear();
  }

  /** Copies what `filling` has of the pieces, then what finds a mapped staging buffer now, and writes the rest. */
  #copy(pieces: readonly UploadPiece[], filling: Filling): void {
    const encoder = this.device.createCommandEncoder({ label: 'upload' });
    for (const { buffer, offset, bytes } of pieces) {
      let done = 0;
      const copy = ({ staging, at, from, length }: StagedRange): void => {
        const start = bytes.byteOffset + done - from; // of what is left of the piece, in this range
        const size = Math.min(length - start, bytes.byteLength - done);
        if (start < 0 || size <= 0) return;
        encoder.copyBufferToBuffer(staging.buffer, at + start, buffer, offset + done, size);
        done += size;
      };
      for (const range of filling.ranges.get(bytes.buffer) ?? []) if (isMapped(range.staging)) copy(range);
      for (const range of this.#fill(filling, bytes.subarray(done), () => this.#nextMapped())) copy(range);
      writePiece(this.device, { buffer, offset: offset + done, bytes: bytes.subarray(done) });
    }
    const used = filling.stagings.filter(isMapped);
    if (used.length === 0) return;
    for (const staging of used) staging.buffer.unmap();
    this.device.queue.submit([encoder.finish()]);
    for (const { buffer } of used) void this.#mapAgain(buffer);
  }

  /**
   * Copies bytes into the staging buffers of a record, from the first one on until there is no further staging buffer.
   * @param next returns another one
   */
  #fill(filling: Filling, bytes: Uint8Array<ArrayBuffer>, next: () => Staging | undefined): StagedRange[] {
    const ranges: StagedRange[] = [];
    for (let start = 0; start < bytes.byteLength; ) {
      let staging = filling.stagings.at(-1);
      if (!staging || staging.filled === this.stagingBytes || !isMapped(staging)) {
        const another = next();
        if (!another) break;
        filling.stagings.push(another);
        staging = another;
      }
      const part = bytes.subarray(start, start + this.stagingBytes - staging.filled);
      staging.range!.set(part, staging.filled);
      ranges.push({ staging, at: staging.filled, from: bytes.byteOffset + start, length: part.byteLength });
      staging.filled += Math.ceil(part.byteLength / 4) * 4;
      start += part.byteLength;
    }
    return ranges;
  }

  /** A staging buffer for a record before its upload, if such records do not have their share already. */
  #nextForEarly(filling: Filling): Staging | undefined {
    const held = [...this.#early].reduce((sum, { stagings }) => sum + stagings.length, 0);
    if (held >= Math.ceil(this.#all.size * STAGED_SHARE)) return undefined;
    const staging = this.#nextMapped();
    if (staging) this.#early.add(filling);
    return staging;
  }

  #nextMapped(): Staging | undefined {
    for (let staging = this.#mapped.shift(); staging; staging = this.#mapped.shift()) {
      try {
        staging.range ??= new Uint8Array(staging.buffer.getMappedRange());
        if (isMapped(staging)) return staging;
      } catch {
        // there is no main memory for it
      }
      this.#drop(staging.buffer);
    }
    return undefined;
  }

  /** Forgets what a record has copied before its upload. Nothing of it was submitted. */
  #release(filling: Filling): void {
    if (!this.#early.delete(filling)) return;
    filling.ranges.clear();
    for (const staging of filling.stagings.splice(0)) {
      staging.filled = 0;
      if (this.#all.has(staging.buffer)) this.#mapped.push(staging);
    }
  }

  /** Resolves once the GPU has copied from the buffer. If it cannot be mapped, the ring continues without it. */
  async #mapAgain(buffer: GPUBuffer): Promise<void> {
    try {
      await buffer.mapAsync(GPUMapMode.WRITE);
      if (this.#all.has(buffer)) this.#mapped.push({ buffer, range: undefined, filled: 0 });
    } catch {
      this.#drop(buffer); // the device is lost, or out of memory
    }
  }

  #drop(buffer: GPUBuffer): void {
    if (this.#all.delete(buffer)) buffer.destroy();
  }
}

/** False if its memory was taken away, because the device or the buffer was destroyed. */
const isMapped = ({ range }: Staging): boolean => range !== undefined && range.byteLength > 0;

/** undefined if there is no main memory for it. */
function createMapped(device: GPUDevice, size: Bytes): GPUBuffer | undefined {
  const usage = GPUBufferUsage.MAP_WRITE | GPUBufferUsage.COPY_SRC;
  try {
    return device.createBuffer({ label: 'staging', size, usage, mappedAtCreation: true });
  } catch {
    return undefined;
  }
}
