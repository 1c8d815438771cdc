/** The ring on a queue that is none: where the bytes arrive, how often they are copied, and what is left behind. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RecordParts } from '../../../format/record-parts.ts';
import { stubWebGpuConstants } from '../fake-device-testing.ts';
import { piecesOf, type UploadPiece } from './upload-piece.ts';
import { UploadRing } from './upload-ring.ts';

beforeEach(stubWebGpuConstants);
afterEach(() => vi.unstubAllGlobals());

interface FakeBuffer {
  label: string;
  bytes: Uint8Array<ArrayBuffer>;
  mapped: boolean;
  destroyed: boolean;
}

interface Copy {
  from: FakeBuffer;
  at: number;
  to: FakeBuffer;
  offset: number;
  size: number;
}

/** A device whose copies end only with `finish`. It copies like a real one, and refuses what a real one refuses. */
class QueueDevice {
  readonly buffers: FakeBuffer[] = [];
  /** What was queued, in order. */
  readonly log: string[] = [];
  written = 0;
  copied = 0;
  /** Whether a buffer can be mapped again. */
  canMap = true;
  /** Buffers that can still be created mapped. */
  canCreate = Number.POSITIVE_INFINITY;
  #waiting: { resolve: () => void; reject: (error: Error) => void; buffer: FakeBuffer }[] = [];

  get staging(): FakeBuffer[] {
    return this.buffers.filter(({ label, destroyed }) => label === 'staging' && !destroyed);
  }

  createBuffer({ label = '', size, mappedAtCreation = false }: GPUBufferDescriptor): GPUBuffer {
    if (mappedAtCreation && this.canCreate-- <= 0) throw new RangeError('createBuffer failed, size is too large');
    const buffer = { label, bytes: new Uint8Array(size), mapped: mappedAtCreation, destroyed: false };
    this.buffers.push(buffer);
    return Object.assign(buffer, {
      size,
      getMappedRange: () => {
        if (!buffer.mapped) throw new Error('not mapped');
        return buffer.bytes.buffer;
      },
      unmap: () => {
        buffer.mapped = false;
      },
      mapAsync: () =>
        new Promise<void>((resolve, reject) => {
          this.#waiting.push({ resolve, reject, buffer });
        }),
      destroy: () => {
        buffer.destroyed = true;
      },
    }) as unknown as GPUBuffer;
  }

  /** Takes away the memory of staging buffers that are mapped, as a browser does when a device is destroyed. */
  takeMemory(): void {
    for (const { label, bytes } of this.buffers) {
      if (label === 'staging') structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    }
  }

  createCommandEncoder() {
    const copies: Copy[] = [];
    return {
      copyBufferToBuffer: (from: FakeBuffer, at: number, to: FakeBuffer, offset: number, size: number) => {
        for (const number of [at, offset, size]) if (number % 4) throw new Error(`${number} is no multiple of 4`);
        copies.push({ from, at, to, offset, size });
      },
      finish: () => copies,
    };
  }

  readonly queue = {
    writeBuffer: (to: FakeBuffer, offset: number, bytes: Uint8Array) => {
      if (offset % 4 || bytes.byteLength % 4) throw new Error('no multiple of 4');
      to.bytes.set(bytes, offset);
      this.written += bytes.byteLength;
      this.log.push('write');
    },
    submit: (commands: Copy[][]) => {
      for (const { from, at, to, offset, size } of commands.flat()) {
        if (from.mapped) throw new Error('a mapped buffer was submitted');
        to.bytes.set(from.bytes.subarray(at, at + size), offset);
        this.copied += size;
      }
      this.log.push('submit');
    },
  };

  /** Lets the GPU finish `count` of the copies, so that their buffers are mapped again, or cannot be. */
  async finish(count = this.#waiting.length): Promise<void> {
    for (const { resolve, reject, buffer } of this.#waiting.splice(0, count)) {
      if (this.canMap && !buffer.destroyed) {
        buffer.mapped = true;
        resolve();
      } else reject(new Error('the device is lost'));
    }
    await new Promise((resolve) => setTimeout(resolve));
  }
}

/** A device with a ring of `count` buffers of 64 bytes, and a buffer of 4096 bytes to upload to. */
function ringOf(count: number) {
  const device = new QueueDevice();
  const target = device.createBuffer({ label: 'target', size: 4096, usage: 0 });
  const { bytes } = device.buffers[0];
  const ring = new UploadRing(device as unknown as GPUDevice, count * 64, 64);
  return { device, target, bytes, ring };
}

const random = (length: number, seed: number) => Uint8Array.from({ length }, (_, i) => (i * 37 + seed * 101) & 255);

describe('the ring', () => {
  it('delivers pieces of any size, whatever is mapped, and copies each byte once', async () => {
    const piece = fc.record({ offset: fc.nat(600), words: fc.integer({ min: 1, max: 100 }) });
    const step = fc.record({ pieces: fc.array(piece, { maxLength: 5 }), finished: fc.nat(6) });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 6 }), fc.integer({ min: 1, max: 9 }), async (steps, count) => {
        const { device, target, bytes, ring } = ringOf(count);
        const expected = new Uint8Array(4096);
        let total = 0;
        for (const [s, { pieces, finished }] of steps.entries()) {
          const uploads = pieces.map(
            ({ offset, words }, p): UploadPiece => ({
              buffer: target,
              offset: offset * 4,
              bytes: random(words * 4, s * 10 + p),
            }),
          );
          // Pieces of one upload do not overlap.
          const apart = uploads.filter(
            ({ offset, bytes: own }, p) =>
              !uploads
                .slice(0, p)
                .some((other) => offset < other.offset + other.bytes.length && other.offset < offset + own.length),
          );
          for (const { offset, bytes: own } of apart) {
            expected.set(own, offset);
            total += own.length;
          }
          ring.upload(apart);
          for (const { bytes: own } of apart) own.fill(0); // the caller reuses its memory at once
          expect(Buffer.compare(bytes, expected)).toBe(0);
          await device.finish(finished);
        }
        expect(device.copied + device.written).toBe(total);
        expect(device.staging).toHaveLength(count);
        ring.destroy();
        expect(device.staging).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });

  it('fills each staging buffer before the next, and writes only what finds none', () => {
    const { device, target, ring } = ringOf(3);
    expect(ring.bytes).toBe(192);
    ring.upload([
      { buffer: target, offset: 4, bytes: random(60, 1) },
      { buffer: target, offset: 256, bytes: random(100, 2) },
    ]);
    expect([device.copied, device.written]).toEqual([160, 0]);
    expect(device.log).toEqual(['submit']);
    ring.upload([{ buffer: target, offset: 0, bytes: random(80, 3) }]); // none is mapped
    expect([device.copied, device.written]).toEqual([160, 80]);
    expect(device.log).toEqual(['submit', 'write']);
  });

  it('writes what would leave most of a staging buffer empty', () => {
    const { device, target, ring } = ringOf(3);
    ring.upload([
      { buffer: target, offset: 0, bytes: random(8, 1) },
      { buffer: target, offset: 40, bytes: random(20, 2) },
    ]);
    expect([device.copied, device.written]).toEqual([0, 28]);
    ring.upload([{ buffer: target, offset: 0, bytes: random(32, 3) }]);
    expect([device.copied, device.written]).toEqual([32, 28]);
  });

  it('uses a buffer again as soon as the GPU has copied from it', async () => {
    const { device, target, ring } = ringOf(2);
    for (let turn = 0; turn < 5; turn++) {
      ring.upload([{ buffer: target, offset: 0, bytes: random(128, turn) }]);
      await device.finish();
    }
    expect([device.copied, device.written]).toEqual([640, 0]);
  });

  it('continues without buffers that cannot be mapped again, as after a loss, and keeps none of them', async () => {
    const { device, target, bytes, ring } = ringOf(3);
    device.canMap = false;
    ring.upload([{ buffer: target, offset: 0, bytes: random(128, 1) }]);
    await device.finish();
    expect(device.staging).toHaveLength(1);
    ring.upload([{ buffer: target, offset: 0, bytes: random(256, 2) }]);
    await device.finish();
    expect(device.staging).toHaveLength(0);
    expect(bytes.subarray(0, 256)).toEqual(random(256, 2));
    ring.upload([{ buffer: target, offset: 0, bytes: random(512, 3) }]);
    expect(bytes.subarray(0, 512)).toEqual(random(512, 3));
  });

  it('leaves nothing behind if it is destroyed while the GPU copies', async () => {
    const { device, target, ring } = ringOf(2);
    ring.upload([{ buffer: target, offset: 0, bytes: random(128, 1) }]);
    ring.destroy();
    await device.finish();
    expect(device.staging).toEqual([]);
    ring.upload([{ buffer: target, offset: 0, bytes: random(64, 2) }]);
    expect(device.written).toBe(64);
  });

  it('is as large as main memory allows', () => {
    const device = new QueueDevice();
    device.canCreate = 2;
    expect(new UploadRing(device as unknown as GPUDevice, 64 * 9, 64).bytes).toBe(128);
    device.canCreate = 0;
    expect(new UploadRing(device as unknown as GPUDevice, 64 * 9, 64).bytes).toBe(0);
  });
});

/** Parts of a record as a reader hands them over, each in a buffer of its own; and pieces that upload all of them. */
function recordOf(target: GPUBuffer, lengths: readonly number[], seed: number) {
  const parts = lengths.map((length, index) => random(length, seed + index));
  const record: RecordParts = { byteLength: lengths.reduce((sum, length) => sum + length, 0), parts };
  // In two places, like an expert's matrices; the border is within a part.
  const half = Math.floor(record.byteLength / 8) * 4;
  const pieces = [
    ...piecesOf(record, 0, half, target, 2048),
    ...piecesOf(record, half, record.byteLength - half, target, 0),
  ];
  const expected = (): Uint8Array => {
    const whole = Buffer.concat(parts);
    const all = new Uint8Array(4096);
    all.set(whole.subarray(0, half), 2048);
    all.set(whole.subarray(half), 0);
    return all;
  };
  return { parts, record, pieces, expected: expected() };
}

/** Counts the bytes that are copied into staging buffers by the CPU. */
function countStaged(device: QueueDevice): { bytes: number } {
  const counted = { bytes: 0 };
  const set = Uint8Array.prototype.set;
  vi.spyOn(Uint8Array.prototype, 'set').mockImplementation(function (this: Uint8Array, source, at) {
    if (device.staging.some(({ bytes }) => bytes.buffer === this.buffer)) counted.bytes += source.length;
    set.call(this, source, at);
  });
  return counted;
}

describe('a record that is staged while it is read', () => {
  afterEach(() => vi.restoreAllMocks());

  it('arrives in its place, whatever was free when its parts came, in any order, and is copied once', async () => {
    const words = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 });
    const step = fc.record({
      words,
      order: fc.array(fc.nat()),
      staged: fc.nat(6),
      end: fc.constantFrom('cancelled', 'forgotten', 'uploaded'),
      finished: fc.nat(6),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 8 }), fc.integer({ min: 1, max: 9 }), async (steps, count) => {
        const { device, target, bytes, ring } = ringOf(count);
        const counted = countStaged(device);
        let total = 0;
        for (const [s, { words: lengths, order, staged, end, finished }] of steps.entries()) {
          const { parts, record, pieces, expected } = recordOf(
            target,
            lengths.map((n) => n * 4),
            s * 10,
          );
          const before = { staged: counted.bytes, written: device.written };
          const early = ring.stage();
          const arriving = parts
            .map((part, p) => ({ part, rank: order[p] ?? p }))
            .sort((a, b) => a.rank - b.rank)
            .slice(0, staged);
          for (const { part } of arriving) early?.add(part);
          if (end === 'cancelled') early?.reset();
          else early?.complete(record);
          if (end === 'forgotten') ring.forget(record);
          if (end === 'uploaded') {
            bytes.fill(0);
            ring.upload(pieces, record);
            expect(Buffer.compare(bytes, expected)).toBe(0);
            expect(counted.bytes - before.staged + device.written - before.written).toBe(record.byteLength);
            total += record.byteLength;
          }
          await device.finish(finished);
        }
        expect(device.copied + device.written).toBe(total);
        await device.finish();
        const { copied } = device;
        const { record, pieces } = recordOf(target, [count * 64], 1);
        ring.upload(pieces, record);
        expect(device.copied - copied).toBe(count * 64); // nothing stays occupied
        vi.restoreAllMocks();
      }),
      { numRuns: 200 },
    );
  });

  it('needs no copy by the CPU when it is uploaded, one record after another', async () => {
    const { device, target, bytes, ring } = ringOf(8);
    const counted = countStaged(device);
    for (let n = 0; n < 3; n++) {
      const { parts, record, pieces, expected } = recordOf(target, [100, 100, 40], n * 3);
      const early = ring.stage()!;
      for (const part of parts) early.add(part);
      expect([counted.bytes, device.log.length]).toEqual([(n + 1) * 240, n]);
      early.complete(record);
      ring.upload(pieces, record);
      expect(bytes).toEqual(expected);
      expect(counted.bytes).toBe((n + 1) * 240);
      await device.finish();
    }
    expect([device.copied, device.written, device.log]).toEqual([720, 0, ['submit', 'submit', 'submit']]);
  });

  it('fills half of the ring at most; the rest is copied by its upload, or written', async () => {
    const { device, target, bytes, ring } = ringOf(4);
    const counted = countStaged(device);
    const first = recordOf(target, [96, 96], 1);
    const second = recordOf(target, [64, 64], 5);
    const [early, late] = [ring.stage()!, ring.stage()!];
    for (const part of first.parts) early.add(part);
    expect(counted.bytes).toBe(128);
    for (const part of second.parts) late.add(part); // the others have their share
    expect(counted.bytes).toBe(128);
    late.complete(second.record);
    ring.upload(second.pieces, second.record); // what is free
    expect([device.copied, device.written]).toEqual([128, 0]);
    expect(bytes).toEqual(second.expected);
    bytes.fill(0);
    early.complete(first.record);
    ring.upload(first.pieces, first.record); // nothing is free
    expect([device.copied, device.written]).toEqual([256, 64]);
    expect(bytes).toEqual(first.expected);
    expect(counted.bytes).toBe(256);
  });

  it('is forgotten if its read is cancelled: nothing is submitted, and others get its staging buffers', () => {
    const { device, target, bytes, ring } = ringOf(4);
    const cancelled = recordOf(target, [64, 64, 64], 1);
    const next = recordOf(target, [64, 64, 64, 64], 5);
    const early = ring.stage()!;
    for (const part of cancelled.parts.slice(0, 2)) early.add(part);
    early.reset();
    expect(device.log).toEqual([]);
    ring.upload(next.pieces, next.record);
    expect([device.copied, device.written]).toEqual([256, 0]);
    expect(bytes).toEqual(next.expected);
  });

  it('can be read again from its first part', () => {
    const { device, target, bytes, ring } = ringOf(4);
    const damaged = recordOf(target, [64, 64], 1);
    const repaired = recordOf(target, [64, 64], 5);
    const early = ring.stage()!;
    early.add(damaged.parts[0]);
    early.reset();
    for (const part of repaired.parts) early.add(part);
    early.complete(repaired.record);
    ring.upload(repaired.pieces, repaired.record);
    expect(bytes).toEqual(repaired.expected);
    expect([device.copied, device.written]).toEqual([128, 0]);
  });

  it('is forgotten if it is not uploaded after all, and can be uploaded later', () => {
    const { device, target, bytes, ring } = ringOf(4);
    const [first, second] = [recordOf(target, [64, 64], 1), recordOf(target, [64, 64], 5)];
    const earlier = ring.stage()!;
    for (const part of first.parts) earlier.add(part);
    earlier.complete(first.record);
    ring.forget(first.record);
    const later = ring.stage()!;
    const counted = countStaged(device);
    for (const part of second.parts) later.add(part);
    expect([counted.bytes, device.log]).toEqual([128, []]);
    ring.upload(first.pieces, first.record); // from main memory
    expect(bytes).toEqual(first.expected);
    bytes.fill(0);
    later.complete(second.record);
    ring.upload(second.pieces, second.record);
    expect(bytes).toEqual(second.expected);
    expect([counted.bytes, device.copied, device.written]).toEqual([256, 256, 0]);
  });

  it('is uploaded again from its bytes, as main memory keeps them', async () => {
    const { device, target, bytes, ring } = ringOf(4);
    const { parts, record, pieces, expected } = recordOf(target, [64, 64], 1);
    const early = ring.stage()!;
    for (const part of parts) early.add(part);
    early.complete(record);
    ring.upload(pieces, record);
    bytes.fill(0);
    ring.upload(pieces, record);
    expect(bytes).toEqual(expected);
    expect([device.copied, device.written]).toEqual([256, 0]);
  });

  it.each(['device', 'ring'])('does no harm if the %s is destroyed in the middle', (destroyed) => {
    const { device, target, bytes, ring } = ringOf(8);
    const { parts, record, pieces, expected } = recordOf(target, [64, 64, 64], 1);
    const early = ring.stage()!;
    early.add(parts[0]);
    if (destroyed === 'ring') ring.destroy();
    device.takeMemory(); // as a browser does with both
    for (const part of parts.slice(1)) early.add(part);
    early.complete(record);
    ring.upload(pieces, record);
    expect([device.copied, device.written]).toEqual([0, 192]);
    expect(bytes).toEqual(expected);
    if (destroyed === 'ring') expect(ring.stage()).toBeUndefined();
  });
});
