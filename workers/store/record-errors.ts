/** Errors about stored weights that cannot be used. */
import { MixtabError } from '../../src/contract/errors.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import type { RecordInfo } from '../format/manifest.ts';

const REMEDY = 'Repair the model, or remove it and import it again.';

/** @param why completes the sentence "The stored weights ... are missing:" */
export const missingRecord = ({ key }: RecordInfo, why: string): MixtabError =>
  new MixtabError('record-missing', `The stored weights ${key} are missing: ${why}.`, REMEDY);

/** @param why completes the sentence "The stored weights ... are damaged:" */
export const damagedRecord = ({ key }: RecordInfo, why: string): MixtabError =>
  new MixtabError('record-damaged', `The stored weights ${key} are damaged: ${why}.`, REMEDY);

/** @param length of the file, or where it could not be read further */
export const wrongFileLength = (record: RecordInfo, length: Bytes): MixtabError =>
  damagedRecord(record, `their file has ${length} bytes instead of ${record.bytes}`);
