import { startChecksum } from './hash.ts';

/** The XXH64 checksum of bytes in parts, which are not copied: joined in a Blob they would go to the browser and back. */
export async function xxh64OfParts(parts: Iterable<Uint8Array>): Promise<string> {
  const checksum = (await startChecksum())!;
  for (const part of parts) checksum.update(part);
  return checksum.digest();
}
