/** Reads experts so that their parts go to staging buffers as they arrive (docs/streaming.md, "Uploads"). */
import type { ReadExpert } from '../../../experts/expert-loader.ts';
import type { RecordParts } from '../../../format/record-parts.ts';
import type { PartReceiver } from '../../../store/store.ts';
import type { ModelRecords } from '../../model-records.ts';
import type { Uploads } from './upload-piece.ts';

/**
 * Reads experts, and copies each part as it arrives. A read that fails or is cancelled leaves no copy.
 * @param uploads what uploads the experts later
 */
export function stagedReads(records: Pick<ModelRecords, 'readExpert'>, uploads: Uploads): ReadExpert<RecordParts> {
  return async (layer, expert, signal) => {
    const staged = uploads.stage?.();
    if (!staged) return records.readExpert(layer, expert, signal);
    const reset = (): void => staged.reset();
    const parts: PartReceiver = {
      add: (part) => {
        if (!signal.aborted) staged.add(part);
      },
      reset,
    };
    signal.addEventListener('abort', reset); // also if it is cancelled when it has just ended, and nobody gets the record
    try {
      const record = await records.readExpert(layer, expert, signal, { parts });
      if (!signal.aborted) staged.complete(record);
      return record;
    } catch (error) {
      reset();
      throw error;
    }
  };
}
