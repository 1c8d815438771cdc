/**
 * Blobs as values of IndexedDB. WebKit refuses them in private windows, with an error that says nothing else. Their bytes
 * are then stored as an ArrayBuffer, which is read more slowly.
 */
import { MixtabError } from '../../src/contract/errors.ts';

export class BlobValues {
  #refused = false;

  /**
   * Writes values that may be Blobs. If that fails, it tries once more with their bytes, and if that succeeds, always
   * writes bytes from then on.
   * @param write stores the values in one transaction, in their order
   * @throws what `write` throws; at once if the storage is full
   */
  async write(values: readonly unknown[], write: (stored: readonly unknown[]) => Promise<void>): Promise<void> {
    const hasBlobs = values.some((value) => value instanceof Blob);
    if (!hasBlobs) return write(values);
    if (!this.#refused) {
      try {
        return await write(values);
      } catch (error) {
        if (error instanceof MixtabError && error.code === 'storage-full') throw error;
      }
    }
    await write(await Promise.all(values.map((value) => (value instanceof Blob ? value.arrayBuffer() : value))));
    this.#refused = true;
  }
}

/** The value as it was written: a Blob again if its bytes were stored. No value of ours is an ArrayBuffer otherwise. */
export const blobAgain = (value: unknown): unknown => (value instanceof ArrayBuffer ? new Blob([value]) : value);
