/** Which records of an interrupted import the next import of the same file can keep. */
import type { RecordInfo } from '../format/manifest.ts';
import { LAYOUT_VERSION } from '../format/weight-layout.ts';
import type { RecordStore } from '../store/store.ts';
import { layoutsOf } from './build-record.ts';
import type { IdentifiedModel } from './open-model.ts';

/**
 * Finds the records that an interrupted import has stored exactly as this one would. If its journal does not match the
 * plan, everything it has stored is removed.
 * @returns the records by key
 */
export async function recordsToKeep(
  store: RecordStore,
  { id, plan }: IdentifiedModel,
): Promise<Map<string, RecordInfo>> {
  const journal = await store.getJournal(id);
  const planned = new Map(plan.records.map((record) => [record.key, JSON.stringify(layoutsOf(record))]));
  const matches =
    journal?.layoutVersion === LAYOUT_VERSION &&
    journal.records.every(({ key, tensors }) => planned.get(key) === JSON.stringify(tensors));
  if (!journal || !matches) {
    if ((await store.getManifest(id)) === undefined) await store.removeModel(id);
    return new Map();
  }
  const present = await store.storedRecords(id, journal.records);
  return new Map(journal.records.filter(({ key }) => present.has(key)).map((record) => [record.key, record]));
}
