/** Hashes: SHA-256 identifies bytes, XXH64 finds damage at several times the speed. */
import { within } from '../../src/contract/within.ts';
import type { Checksum } from './xxh64.ts';

/** The SHA-256 hash as lower-case hex. Needs a secure context, as WebGPU does. */
export async function sha256Hex(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Undefined inside if the library did not arrive. */
let library: Promise<typeof import('./xxh64.ts') | undefined> | undefined;

/**
 * Starts an XXH64 checksum with seed 0. Its library is fetched the first time.
 * @returns undefined if the library did not arrive or the browser allows no WebAssembly; SHA-256 has to do then
 */
export async function startChecksum(): Promise<Checksum | undefined> {
  library ??= within(LIBRARY_MS, import('./xxh64.ts'), () => new Error('no answer in time')).catch(() => undefined);
  try {
    return await (await library)?.startXxh64();
  } catch {
    return undefined;
  }
}

/** Fetching the library takes far less. A server that never answers must not stop an import. */
const LIBRARY_MS = 20_000;

/** The XXH64 checksum as 16 lower-case hex digits; undefined if the browser allows no WebAssembly. */
export async function xxh64Hex(bytes: Uint8Array): Promise<string | undefined> {
  const checksum = await startChecksum();
  checksum?.update(bytes);
  return checksum?.digest();
}
