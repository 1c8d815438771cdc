/** Reads a record from a synchronous access handle into reused buffers. */
import { throwIfAborted } from '../../src/contract/errors.ts';
import { PART_BYTES, type RecordInfo } from '../format/manifest.ts';
import { onePart, type RecordParts } from '../format/record-parts.ts';
import { wrongFileLength } from './record-errors.ts';
import type { ReadOptions } from './store.ts';

/**
 * Reads the whole file in pieces of PART_BYTES, and checks `signal` between them.
 * @throws MixtabError `record-damaged` if its length is wrong, `aborted`; its buffer is recycled
 */
export async function readFile(
  handle: FileSystemSyncAccessHandle,
  record: RecordInfo,
  { buffers, checksum, signal }: ReadOptions,
): Promise<RecordParts> {
  throwIfAborted(signal);
  const size = handle.getSize();
  if (size !== record.bytes) throw wrongFileLength(record, size);
  const bytes = new Uint8Array(buffers.take(size));
  try {
    for (let done = 0; done < size; ) {
      const read = handle.read(bytes.subarray(done, done + PART_BYTES), { at: done });
      if (read === 0) throw wrongFileLength(record, done);
      checksum?.update(bytes.subarray(done, done + read));
      done += read;
      if (signal && done < size) await pendingMessages();
      throwIfAborted(signal);
    }
  } catch (error) {
    buffers.recycle(bytes.buffer);
    throw error;
  }
  return onePart(bytes);
}

/**
 * Lets the worker handle messages that have arrived, for example a cancellation, because synchronous reads block it.
 * A timer would wait for 4 ms.
 */
function pendingMessages(): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
