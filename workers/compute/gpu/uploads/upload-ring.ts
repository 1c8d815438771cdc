/** Uploads through staging buffers that are filled while they are mapped, copied from, and mapped again. */
import type { Bytes } from '../../../../src/contract/ids.ts';
import { type UploadPiece, type Uploads, writePiece } from './upload-piece.ts';

/** An upload of less than this share of a staging buffer is written: unmapping passes all of the buffer to the GPU. */
const LEAST_SHARE = 0.5;

/** A mapped staging buffer that is being filled. */
interface Filling {
  staging: GPUBuffer;
  range: Uint8Array;
  /** How many bytes of it are filled. */
  filled: Bytes;
}

/**
 * A ring of staging buffers. A large upload fills those that are mapped at that moment. What finds none is written with
 * `writeBuffer`, so an upload never waits, and a buffer that the GPU does not map again is only missed.
 */
export class UploadRing implements Uploads {
  /** The staging buffers that are not destroyed. */
  readonly #all = new Set<GPUBuffer>();
  /** Those that are mapped, the one that has waited longest first. */
  readonly #mapped: GPUBuffer[] = [];

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
      this.#mapped.push(staging);
    }
  }

  get bytes(): Bytes {
    return this.#all.size * this.stagingBytes;
  }

  upload(pieces: readonly UploadPiece[]): void {
    const total = pieces.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
    if (total < LEAST_SHARE * this.stagingBytes) for (const piece of pieces) writePiece(this.device, piece);
    else this.#stage(pieces);
  }

  #stage(pieces: readonly UploadPiece[]): void {
    const encoder = this.device.createCommandEncoder({ label: 'upload' });
    const used: GPUBuffer[] = [];
    let filling: Filling | undefined;
    for (const { buffer, offset, bytes } of pieces) {
      for (let start = 0; start < bytes.byteLength; ) {
        if (!filling || filling.filled === filling.range.byteLength) {
          filling = this.#nextMapped();
          if (filling) used.push(filling.staging);
        }
        if (!filling) {
          writePiece(this.device, { buffer, offset: offset + start, bytes: bytes.subarray(start) });
          break;
        }
        const part = bytes.subarray(start, start + filling.range.byteLength - filling.filled);
        filling.range.set(part, filling.filled);
        encoder.copyBufferToBuffer(filling.staging, filling.filled, buffer, offset + start, part.byteLength);
        filling.filled += part.byteLength;
        start += part.byteLength;
      }
    }
    if (used.length === 0) return;
    for (const staging of used) staging.unmap();
    this.device.queue.submit([encoder.finish()]);
    for (const staging of used) void this.#mapAgain(staging);
  }

  destroy(): void {
    for (const staging of this.#all) staging.destroy();
    this.#all.clear();
    this.#mapped.length = 0;
  }

  #nextMapped(): Filling | undefined {
    for (let staging = this.#mapped.shift(); staging; staging = this.#mapped.shift()) {
      try {
        return { staging, range: new Uint8Array(staging.getMappedRange()), filled: 0 };
      } catch {
        this.#drop(staging); // there is no main memory for it
      }
    }
    return undefined;
  }

  /** Resolves once the GPU has copied from the buffer. If it cannot be mapped, the ring continues without it. */
  async #mapAgain(staging: GPUBuffer): Promise<void> {
    try {
      await staging.mapAsync(GPUMapMode.WRITE);
      if (this.#all.has(staging)) this.#mapped.push(staging);
    } catch {
      this.#drop(staging); // the device is lost, or out of memory
    }
  }

  #drop(staging: GPUBuffer): void {
    if (this.#all.delete(staging)) staging.destroy();
  }
}

/** undefined if there is no main memory for it. */
function createMapped(device: GPUDevice, size: Bytes): GPUBuffer | undefined {
  const usage = GPUBufferUsage.MAP_WRITE | GPUBufferUsage.COPY_SRC;
  try {
    return device.createBuffer({ label: 'staging', size, usage, mappedAtCreation: true });
  } catch {
    return undefined;
  }
}
