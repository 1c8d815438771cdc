/**
 * Saves the KV cache of a conversation in parts and restores it, so that a reload of the page does not compute it
 * again.
 */
import type { Bytes } from '../../src/contract/ids.ts';
import { type KvCacheBytes, type KvRegion, type KvShape, kvCacheBytes } from '../compute/compute.ts';
import { sha256Hex } from '../store/hash.ts';
import type { SessionHeader, SessionOwner } from '../store/session-store.ts';

/** Increase it whenever kernels compute other keys or values, or store them in another layout. */
export const SESSION_VERSION = 4;
/** Largest part of a saved session. */
export const MAX_PART_BYTES: Bytes = 16 * 1024 * 1024;

/**
 * Divides a KV cache into regions of at most `maxBytes`: layer by layer, keys before values.
 * @param bytes of one layer's keys, and of its values
 */
export function regionsOf(layerCount: number, bytes: Bytes, maxBytes: Bytes = MAX_PART_BYTES): KvRegion[] {
  const regions: KvRegion[] = [];
  for (let layer = 0; layer < layerCount; layer++) {
    for (const kind of ['keys', 'values'] as const) {
      for (let offset = 0; offset < bytes; offset += maxBytes) {
        regions.push({ layer, kind, offset, size: Math.min(maxBytes, bytes - offset) });
      }
    }
  }
  return regions;
}

/** Bytes of the keys, or of the values, of one layer. */
const layerBytes = (shape: KvShape, positions: number): Bytes =>
  kvCacheBytes({ ...shape, layerCount: 1 }, positions) / 2;

/** The largest part that consists of whole positions: the CPU's threads hold a position's heads separately. */
export function largestPart(shape: KvShape): Bytes {
  const positionBytes = layerBytes(shape, 1);
  return Math.max(1, Math.floor(MAX_PART_BYTES / positionBytes)) * positionBytes;
}

/** The regions of the first `positions` positions. */
const usedRegions = ({ shape }: KvCacheBytes, positions: number): KvRegion[] =>
  regionsOf(shape.layerCount, layerBytes(shape, positions), largestPart(shape));

/**
 * Reads the first `tokens.length` positions of the KV cache.
 * @param tokens those that the cache holds
 * @param put stores a part; the next part is read when it is done
 */
export async function saveCache(
  cache: KvCacheBytes,
  tokens: readonly number[],
  owner: SessionOwner & Pick<SessionHeader, 'routing'>,
  put: (index: number, part: Blob) => Promise<void>,
): Promise<Omit<SessionHeader, 'generation'>> {
  const { layerCount, kvHeadCount, headDim } = cache.shape;
  const parts: string[] = [];
  for await (const bytes of cache.read(usedRegions(cache, tokens.length))) {
    parts.push(await sha256Hex(new Uint8Array(bytes)));
    await put(parts.length - 1, new Blob([bytes]));
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

/** Whether a session was computed where the model computes now. Ones that do not say so are older than the CPU backend. */
export const isComputedBy = (header: SessionHeader, compute: SessionOwner['compute']): boolean =>
  (header.compute ?? 'gpu') === compute;

/** Whether the session's keys and values are those that this model would compute, and fit into the cache. */
export function sessionFits(header: SessionHeader, cache: KvCacheBytes, owner: SessionOwner): boolean {
  const { shape, limit } = cache;
  return (
    header.version === SESSION_VERSION &&
    header.modelId === owner.modelId &&
    header.weights === owner.weights &&
    isComputedBy(header, owner.compute) &&
    header.layerCount === shape.layerCount &&
    header.kvHeadCount === shape.kvHeadCount &&
    header.headDim === shape.headDim &&
    header.tokens.length > 0 &&
    header.tokens.length <= limit &&
    header.parts.length === usedRegions(cache, header.tokens.length).length
  );
}

/**
 * Writes a session into a KV cache that it fits into, and checks the hash of every part.
 * @param get reads a part
 * @returns false if a part is missing or damaged; the contents of the cache are then useless
 */
export async function restoreCache(
  cache: KvCacheBytes,
  header: SessionHeader,
  get: (index: number) => Promise<ArrayBuffer | undefined>,
): Promise<boolean> {
  await cache.reserve(header.tokens.length);
  for (const [index, region] of usedRegions(cache, header.tokens.length).entries()) {
    const bytes = await get(index);
    if (bytes?.byteLength !== region.size) return false;
    if ((await sha256Hex(new Uint8Array(bytes))) !== header.parts[index]) return false;
    cache.write(region, bytes);
  }
  return true;
}
