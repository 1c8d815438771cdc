/** Errors about stored weights that cannot be used. */
import { MixtabError } from '../../src/contract/errors.ts';
import { formatBytes } from '../../src/contract/format-bytes.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import type { RecordInfo } from '../format/manifest.ts';

const REMEDY = 'Verify the model on the models page, then repair it there.';

/** @param why completes the sentence "The stored weights ... are missing:" */
export const missingRecord = ({ key }: RecordInfo, why: string): MixtabError =>
  new MixtabError('record-missing', `The stored weights ${key} are missing: ${why}.`, REMEDY);

/** @param why completes the sentence "The stored weights ... are damaged:" */
export const damagedRecord = ({ key }: RecordInfo, why: string): MixtabError =>
  new MixtabError('record-damaged', `The stored weights ${key} are damaged: ${why}.`, REMEDY);

/** The error for weights that the import of an earlier version did not check. @param row of the tensor */
export const nonFiniteRecord = ({ key }: RecordInfo, tensor: string, row: number): MixtabError =>
  new MixtabError(
    'not-finite',
    `This model's weights are not finite: ${tensor} in ${key}, row ${row}, is NaN or infinite.`,
    'Its file is damaged. Delete the model, and import another file.',
  );

/**
 * The error for a record that is stored but could not be read. It says nothing about the record: main memory may be
 * short, or the read may succeed a moment later.
 * @param error what the browser threw
 */
export function unreadableRecord({ key, bytes }: RecordInfo, error: unknown): MixtabError {
  if (error instanceof MixtabError) return error;
  if (isAllocationFailure(error)) return memoryFull(`to read the stored weights ${key}`, bytes);
  const why = error instanceof Error || error instanceof DOMException ? `${error.name}: ${error.message}` : error;
  return new MixtabError(
    'record-unreadable',
    `The stored weights ${key} cannot be read now (${why}).`,
    'Try again. If it happens again, verify the model on the models page.',
  );
}

/** The error for a record of which nothing has arrived for so long that it will not, twice. */
export const stalledRead = ({ key }: RecordInfo, seconds: number): MixtabError =>
  new MixtabError(
    'record-unreadable',
    `The stored weights ${key} cannot be read now: the browser has delivered nothing for ${seconds} seconds.`,
    'Try again. If it happens again, restart the browser, and check the disk.',
  );

/** What browsers throw if there is no memory for a buffer. */
export const isAllocationFailure = (error: unknown): boolean => error instanceof RangeError;

/** @param what completes the sentence "There is not enough main memory ..." */
export const memoryFull = (what: string, bytes: Bytes): MixtabError =>
  new MixtabError(
    'memory-full',
    `There is not enough main memory ${what} (${formatBytes(bytes)}).`,
    'Close other tabs and programs, or choose a smaller memory budget in the settings.',
  );

/** Whether an error says that the stored bytes themselves are wrong or absent. */
export const isBroken = (error: unknown): error is MixtabError =>
  error instanceof MixtabError && (error.code === 'record-damaged' || error.code === 'record-missing');

/** @param length of the file, or where it could not be read further */
export const wrongFileLength = (record: RecordInfo, length: Bytes): MixtabError =>
  damagedRecord(record, `their file has ${length} bytes instead of ${record.bytes}`);
