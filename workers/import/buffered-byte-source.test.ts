/** How many requests a remote file takes, and that the bytes are correct. */
import { describe, expect, it } from 'vitest';
import { MemoryStore } from '../store/memory-store.ts';
import { SYNTH_PRESETS } from '../synth/presets.ts';
import { createSynth } from '../synth/synth.ts';
import { BufferedByteSource } from './buffered-byte-source.ts';
import { BlobByteSource } from './byte-source.ts';
import { importSource } from './testing.ts';

const MIB = 1024 * 1024;

class RemoteFile extends BlobByteSource {
  /** [offset, length] of each request. */
  readonly requests: [number, number][] = [];
  fails = false;

  override read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    this.requests.push([offset, length]);
    return this.fails ? Promise.reject(new Error('gone')) : super.read(offset, length, signal);
  }
}

const content = Uint8Array.from({ length: 5 * MIB + 123 }, (_, i) => (i * 7 + (i >> 8)) % 251);
const remoteFile = (): RemoteFile => new RemoteFile(new Blob([content]), 'remote.gguf');

async function expectRead(source: BufferedByteSource, offset: number, length: number): Promise<void> {
  expect(Buffer.compare(await source.read(offset, length), content.subarray(offset, offset + length))).toBe(0);
}

describe('BufferedByteSource', () => {
  it('turns small consecutive reads into windows, also in several sequences at a time, up to the end', async () => {
    const file = remoteFile();
    const source = new BufferedByteSource(file);
    const step = 100_000;
    const sequences = [0, 2 * MIB, 4 * MIB];
    for (let n = 0; n < 10; n++) for (const start of sequences) await expectRead(source, start + n * step, step);
    await expectRead(source, 5 * MIB + 23, 100);
    // The first read of each sequence alone, then windows of 1 MiB, each once, the last one shorter. Those in between
    // the sequences were requested ahead.
    expect(file.requests.slice(0, 3)).toEqual(sequences.map((start) => [start, step]));
    expect(file.requests.slice(3)).toEqual([
      [0, MIB],
      [MIB, MIB],
      [2 * MIB, MIB],
      [3 * MIB, MIB],
      [4 * MIB, MIB],
      [5 * MIB, 123],
    ]);
  });

  it('passes large and scattered reads through', async () => {
    const file = remoteFile();
    const source = new BufferedByteSource(file);
    const reads: [number, number][] = [
      [0, MIB],
      [MIB, MIB],
      [4 * MIB, 1000],
      [3 * MIB, 1000],
      [0, 1000],
    ];
    for (const [offset, length] of reads) await expectRead(source, offset, length);
    expect(file.requests).toEqual(reads);
  });

  it('requests a window again after a failure', async () => {
    const file = remoteFile();
    const source = new BufferedByteSource(file);
    await expectRead(source, 0, 1000);
    file.fails = true;
    await expect(source.read(1000, 1000)).rejects.toThrow('gone');
    file.fails = false;
    await expectRead(source, 1000, 1000);
  });

  it('imports a small model with few requests, and hardly more bytes than its size', async () => {
    const synth = createSynth({ ...SYNTH_PRESETS.tiny, layers: 6 });
    const file = new RemoteFile(new Blob([synth.read(0, synth.size)]), 'tiny.gguf');
    const builtin = { kind: 'builtin' as const };
    const { id } = await importSource(new MemoryStore(), file, builtin);
    const unbuffered = file.requests.splice(0).length;
    const again = await importSource(new MemoryStore(), new BufferedByteSource(file), builtin);
    expect(again.id).toBe(id);
    expect(file.requests.length).toBeLessThan(unbuffered / 3);
    expect(file.requests.reduce((sum, [, length]) => sum + length, 0)).toBeLessThan(1.5 * synth.size);
  });
});
