/** Measures checksums over the same random bytes, in Node and in a worker of the browser. */
import {
  createAdler32,
  createBLAKE3,
  createCRC32,
  createCRC64,
  createMD5,
  createXXHash3,
  createXXHash32,
  createXXHash64,
  createXXHash128,
} from 'hash-wasm';

const CANDIDATES = {
  XXH64: createXXHash64,
  XXH32: createXXHash32,
  XXH3: createXXHash3,
  XXH128: createXXHash128,
  'Adler-32': createAdler32,
  'CRC-32': createCRC32,
  'CRC-64': createCRC64,
  BLAKE3: createBLAKE3,
  MD5: createMD5,
};
const BYTES = 64 * 2 ** 20;

/** GB/s of every piece, by row and column of the table. */
export type ChecksumRates = Record<string, Record<string, number[]>>;

/**
 * Takes turns between the candidates.
 * @param megabytes sizes of the pieces that a record arrives in
 */
export async function checksumRates(megabytes: readonly number[], rounds: number): Promise<ChecksumRates> {
  const data = new Uint8Array(BYTES);
  for (let at = 0; at < BYTES; at += 65536) crypto.getRandomValues(data.subarray(at, at + 65536));
  const rates: ChecksumRates = {};
  const hashers = Object.entries(CANDIDATES).map(async ([name, create]) => ({ name, hasher: await create() }));
  const candidates = await Promise.all(hashers);
  for (let round = 0; round < rounds; round++) {
    for (const size of megabytes) {
      const measure = async (name: string, work: (piece: Uint8Array<ArrayBuffer>) => unknown): Promise<void> => {
        rates[name] ??= {};
        rates[name][`${size} MB`] ??= [];
        for (let at = 0; at + size * 1e6 <= BYTES; at += size * 1e6) {
          const start = performance.now();
          await work(data.subarray(at, at + size * 1e6));
          rates[name][`${size} MB`].push(size / (performance.now() - start));
        }
      };
      for (const { name, hasher } of candidates) {
        hasher.init();
        await measure(name, (piece) => hasher.update(piece));
        hasher.digest();
      }
      await measure('SHA-256 of the browser', (piece) => crypto.subtle.digest('SHA-256', piece));
    }
  }
  return rates;
}
