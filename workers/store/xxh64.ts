/**
 * The checksum XXH64, from hash-wasm. Loaded with the first record that needs it. The fastest of the library's
 * checksums on 64-bit machines (docs/measurements/streaming.md).
 */
import { createXXHash64, type IHasher } from 'hash-wasm';
import type { Checksum } from './hash.ts';

/** Each has its own WebAssembly memory, so they are reused. */
const idle: IHasher[] = [];

/** Starts a checksum with seed 0. */
export async function startXxh64(): Promise<Checksum> {
  const hasher = (idle.pop() ?? (await createXXHash64())).init();
  return {
    update: (bytes) => void hasher.update(bytes),
    digest: () => {
      const hex = hasher.digest();
      idle.push(hasher);
      return hex;
    },
  };
}
