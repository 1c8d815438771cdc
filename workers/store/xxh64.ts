/**
 * The checksum XXH64, from hash-wasm. Loaded with the first record that needs it. The fastest of the library's
 * checksums on 64-bit machines (docs/measurements/streaming.md).
 */
import { createXXHash64, type IHasher } from 'hash-wasm';

/** A checksum of bytes that arrive in order, in pieces of any size. */
export interface Checksum {
  update(bytes: Uint8Array): void;
  /** @returns lower-case hex. The checksum cannot be used after that. */
  digest(): string;
}

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
