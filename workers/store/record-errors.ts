/** Errors about stored weights that cannot be used. */
import { MixtabError } from '../../src/contract/errors.ts';
import type { RecordInfo } from '../format/manifest.ts';

const REMEDY = 'Repair the model, or remove it and import it again.';

/** @param why completes the sentence "The stored weights ... are missing:" */
export const missingRecord = ({ key }: RecordInfo, why: string): MixtabError =>
  new MixtabError('record-missing', `The stored weights ${key} are missing: ${why}.`, REMEDY);

/** @param why completes the sentence "The stored weights ... are damaged:" */
export const damagedRecord = ({ key }: RecordInfo, why: string): MixtabError =>
  new MixtabError('record-damaged', `The stored weights ${key} are damaged: ${why}.`, REMEDY);
