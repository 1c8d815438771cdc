/** The KV cache of a conversation, to and from parts of at most 16 MB: what a reload would else compute again. */
import type { Bytes } from '../../src/contract/ids.ts';
import { Readback } from '../compute/gpu/readback.ts';
import { type KvCache, kvCacheBytes } from '../model/kv-cache.ts';
import { sha256Hex } from '../store/hash.ts';
import type { SessionHeader, SessionOwner } from '../store/session-store.ts';

/** Raised whenever kernels would compute other keys or values, or lay them out in another way. */
export const SESSION_VERSION = 4;
export const MAX_PART_BYTES: Bytes = 16 * 1024 * 1024;

/** Where a part lies in the cache. */
interface Piece {
  layer: number;
  kind: 'keys' | 'values';
  offset: Bytes;
  size: Bytes;
}

/** The first `positions` of every buffer, in pieces of at most `maxBytes`. */
export function piecesOf(layerCount: number, layerBytes: Bytes, maxBytes: Bytes = MAX_PART_BYTES): Piece[] {
  const pieces: Piece[] = [];
  for (let layer = 0; layer < layerCount; layer++) {
    for (const kind of ['keys', 'values'] as const) {
      for (let offset = 0; offset < layerBytes; offset += maxBytes) {
        pieces.push({ layer, kind, offset, size: Math.min(maxBytes, layerBytes - offset) });
      }
    }
  }
  return pieces;
}

const piecesFor = ({ shape }: KvCache, positions: number): Piece[] =>
  piecesOf(shape.layerCount, kvCacheBytes({ ...shape, layerCount: 1 }, positions) / 2);

/** Reads the cache's first `tokens.length` positions; each part is handed on before the next is read. */
export async function saveCache(
  cache: KvCache,
  tokens: readonly number[],
  owner: SessionOwner & Pick<SessionHeader, 'routing'>,
  put: (index: number, part: Blob) => Promise<void>,
): Promise<Omit<SessionHeader, 'generation'>> {
  const { layerCount, kvHeadCount, headDim } = cache.shape;
  const readback = new Readback(cache.device); // its large staging buffer goes with it
  const parts: string[] = [];
  try {
    for (const [index, { layer, kind, offset, size }] of piecesFor(cache, tokens.length).entries()) {
      const encoder = cache.device.createCommandEncoder({ label: 'save session' });
      const slice = cache.layers[layer][kind];
      const [bytes] = await readback.submit(encoder, [{ ...slice, offset: slice.offset + offset, size }]);
      parts.push(await sha256Hex(new Uint8Array(bytes)));
      await put(index, new Blob([bytes]));
    }
  } finally {
    readback.destroy();
  }
  return {
    ...owner,
    version: SESSION_VERSION,
    layerCount,
    kvHeadCount,
    headDim,
    tokens: Uint32Array.from(tokens),
    parts,
    bytes: kvCacheBytes(cache.shape, tokens.length),
    savedAt: Date.now(),
  };
}

/** Whether the session's keys and values are those this model would compute, and find room. */
export function sessionFits(header: SessionHeader, cache: KvCache, owner: SessionOwner): boolean {
  const { shape, limit } = cache;
  return (
    header.version === SESSION_VERSION &&
    header.modelId === owner.modelId &&
    header.weights === owner.weights &&
    header.layerCount === shape.layerCount &&
    header.kvHeadCount === shape.kvHeadCount &&
    header.headDim === shape.headDim &&
    header.tokens.length > 0 &&
    header.tokens.length <= limit &&
    header.parts.length === piecesFor(cache, header.tokens.length).length
  );
}

/**
 * Writes a session that fits into the cache, every part checked by its hash.
 * @returns false where a part is missing or damaged: the cache then holds nothing of use
 */
export async function restoreCache(
  cache: KvCache,
  header: SessionHeader,
  get: (index: number) => Promise<Blob | undefined>,
): Promise<boolean> {
  await cache.grow(header.tokens.length);
  for (const [index, { layer, kind, offset, size }] of piecesFor(cache, header.tokens.length).entries()) {
    const bytes = await (await get(index))?.arrayBuffer().catch(() => undefined); // a Blob's file may be gone
    if (bytes?.byteLength !== size) return false;
    if ((await sha256Hex(new Uint8Array(bytes))) !== header.parts[index]) return false;
    const slice = cache.layers[layer][kind];
    cache.device.queue.writeBuffer(slice.buffer, slice.offset + offset, bytes);
  }
  return true;
}
