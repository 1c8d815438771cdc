/** Reads a Blob into a buffer of ours, where the browser can: `Blob.arrayBuffer()` always takes fresh memory. */
import type { Bytes } from '../../src/contract/ids.ts';
import type { BufferPool } from './buffer-pool.ts';

/**
 * Streams that are being read. Chromium (156) forgets a Blob's stream that nothing but its own pending read refers to: the
 * garbage collector takes it, and the read never ends. Deletable when that is mended.
 */
const reading = new Set<unknown>();

/**
 * The Blob's bytes, in a buffer of their length from `buffers`.
 * @param signal ends the read after the piece that is under way: until that has come, the buffer is the stream's
 * @throws what the browser throws where it can no longer read the Blob; the reason of `signal`, the buffer is back in `buffers` then
 */
export async function readBlob(
  blob: Blob,
  buffers: BufferPool,
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const reader = byteReader(blob);
  if (!reader || blob.size === 0) return new Uint8Array(await blob.arrayBuffer());
  reading.add(reader);
  try {
    let bytes: Uint8Array<ArrayBuffer> = new Uint8Array(buffers.take(blob.size));
    for (let at: Bytes = 0; at < blob.size; ) {
      if (signal?.aborted) {
        buffers.recycle(bytes.buffer);
        await reader.cancel();
        throw signal.reason;
      }
      const { value } = await reader.read(bytes.subarray(at));
      if (!value || value.byteLength === 0)
        throw new DOMException(`it ends after ${at} of ${blob.size} bytes`, 'NotReadableError');
      at += value.byteLength;
      // The read has taken the buffer away and brings it back as another.
      bytes = new Uint8Array(value.buffer as ArrayBuffer);
    }
    await reader.cancel();
    return bytes;
  } finally {
    reading.delete(reader);
  }
}

/** undefined where a Blob's stream cannot be read into a given buffer (Safari). */
function byteReader(blob: Blob): ReadableStreamBYOBReader | undefined {
  try {
    return blob.stream().getReader({ mode: 'byob' });
  } catch {
    return undefined;
  }
}
