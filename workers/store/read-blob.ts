/** Reads a Blob into a reused buffer if the browser can: `Blob.arrayBuffer()` always allocates fresh memory. */
import type { Bytes } from '../../src/contract/ids.ts';
import { PART_BYTES } from '../format/manifest.ts';
import type { BufferPool } from './buffer-pool.ts';

/**
 * Keeps the streams that are being read alive. If nothing but its own pending read refers to a Blob's stream, Chromium
 * 156 collects it as garbage and the read never ends. Delete this once that is fixed.
 */
const activeReaders = new Set<unknown>();

interface BlobReadOptions {
  /** Ends the read after the current piece. Until that piece has arrived, the stream owns the buffer. */
  signal?: AbortSignal | undefined;
  /** Called after each piece. */
  onProgress?: (() => void) | undefined;
}

/**
 * Reads the whole Blob into a buffer of its size from `buffers`.
 * @throws the reason of `signal`, after recycling the buffer, or what the browser throws if the Blob is unreadable
 */
export async function readBlob(
  blob: Blob,
  buffers: BufferPool,
  { signal, onProgress }: BlobReadOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const reader = byteReader(blob);
  if (!reader || blob.size === 0) return readInPieces(blob, buffers, { signal, onProgress });
  activeReaders.add(reader);
  try {
    let bytes: Uint8Array<ArrayBuffer> = new Uint8Array(buffers.take(blob.size));
    for (let done: Bytes = 0; done < blob.size; ) {
      if (signal?.aborted) {
        buffers.recycle(bytes.buffer);
        await reader.cancel();
        throw signal.reason;
      }
      const { value } = await reader.read(bytes.subarray(done));
      if (!value || value.byteLength === 0)
        throw new DOMException(`it ends after ${done} of ${blob.size} bytes`, 'NotReadableError');
      done += value.byteLength;
      onProgress?.();
      // The read detaches the buffer and returns the same memory as a new one.
      bytes = new Uint8Array(value.buffer as ArrayBuffer);
    }
    await reader.cancel();
    return bytes;
  } finally {
    activeReaders.delete(reader);
  }
}

/** Reads at most {@link PART_BYTES} at once, so that a large Blob on a slow disk makes progress. */
async function readInPieces(
  blob: Blob,
  buffers: BufferPool,
  { signal, onProgress }: BlobReadOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  if (blob.size <= PART_BYTES) {
    const whole = await blob.arrayBuffer();
    onProgress?.();
    return new Uint8Array(whole);
  }
  const bytes = new Uint8Array(buffers.take(blob.size));
  try {
    for (let done: Bytes = 0; done < blob.size; done += PART_BYTES) {
      signal?.throwIfAborted();
      const piece = await blob.slice(done, done + PART_BYTES).arrayBuffer();
      bytes.set(new Uint8Array(piece), done);
      onProgress?.();
    }
  } catch (error) {
    buffers.recycle(bytes.buffer);
    throw error;
  }
  return bytes;
}

/** undefined if the browser cannot read a Blob's stream into a given buffer (Safari). */
function byteReader(blob: Blob): ReadableStreamBYOBReader | undefined {
  try {
    return blob.stream().getReader({ mode: 'byob' });
  } catch {
    return undefined;
  }
}
