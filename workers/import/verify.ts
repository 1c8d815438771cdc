/** Checks a stored model against the checksums and hashes in its manifest. */
import { MixtabError } from '../../src/contract/errors.ts';
import type { ImportProgress } from '../../src/contract/import-api.ts';
import type { ModelManifest, RecordInfo } from '../format/manifest.ts';
import { xxh64Hex } from '../store/hash.ts';
import { readAgain } from '../store/read-again.ts';
import { ReadProgress } from '../store/read-progress.ts';
import { ReadWatch } from '../store/read-watch.ts';
import { isIntact } from '../store/record-check.ts';
import { isBroken, stalledRead } from '../store/record-errors.ts';
import type { RecordStore } from '../store/store.ts';
import { sumBytes } from './build-record.ts';

interface Verdict {
  /** Keys of records that are missing or differ from what was imported. */
  broken: Set<string>;
  /** Keys of records that the browser could not read. They may be intact. */
  unreadable: Set<string>;
  /** Checksums of intact records that have none, by key. Models of earlier versions lack them. */
  checksums: Map<string, string>;
}

/** How it is noticed that the browser does not answer a read. */
export interface VerifyOptions {
  /** What the store notes. Default: a read counts as slow only until it is given up. */
  progress?: ReadProgress;
  /** For tests. */
  tickMs?: number;
}

/** The browser does not answer the read of a record, so it would not answer those of the others either. */
class Stalled extends Error {
  constructor(readonly reason: MixtabError) {
    super(reason.message);
  }
}

/**
 * Reads every record of a model, and updates the state in its manifest to `damaged` or `complete`. Adds checksums that
 * the manifest lacks. A model that is removed meanwhile stays removed. A read that makes no progress for a minute is
 * repeated; if that one makes none for two minutes either, the verification ends and changes nothing.
 * @returns the keys of the records that are missing, damaged, or that the browser cannot read
 * @throws MixtabError `model-not-found`, `memory-full`, `record-unreadable`
 */
export async function verifyModel(
  store: RecordStore,
  id: string,
  onProgress: (progress: ImportProgress) => void,
  { progress = new ReadProgress(), tickMs }: VerifyOptions = {},
): Promise<string[]> {
  const watch = new ReadWatch({
    progress: async () => progress.count,
    restart: () => {}, // the reads of a store have nothing in common that could hang
    ...(tickMs !== undefined && { tickMs }),
  });
  const manifest = await store.getManifest(id);
  if (!manifest) throw modelNotFound(id);
  const verdict: Verdict = { broken: new Set(), unreadable: new Set(), checksums: new Map() };
  const bytesTotal = sumBytes(manifest.records);
  let bytesDone = 0;
  for (const [index, record] of manifest.records.entries()) {
    const read = (givenUp: AbortSignal): Promise<Uint8Array<ArrayBuffer>> => store.readRecord(id, record, givenUp);
    await check(record, () => watch.run(read, (seconds) => new Stalled(stalledRead(record, seconds))), verdict);
    bytesDone += record.bytes;
    onProgress({
      phase: 'records',
      bytesDone,
      bytesTotal,
      recordsDone: index + 1,
      recordsTotal: manifest.records.length,
    });
  }
  const state = stateOf(verdict, manifest);
  if (state !== manifest.state || verdict.checksums.size > 0) {
    await store.updateManifest(id, (now) => ({ ...now, state, records: withChecksums(now.records, verdict) }));
  }
  const { broken, unreadable } = verdict;
  return manifest.records.map(({ key }) => key).filter((key) => broken.has(key) || unreadable.has(key));
}

async function check(
  record: RecordInfo,
  read: () => Promise<Uint8Array<ArrayBuffer>>,
  verdict: Verdict,
): Promise<void> {
  const { key } = record;
  try {
    const bytes = await readAgain(read);
    if (!(await isIntact(record, bytes))) verdict.broken.add(key);
    else if (record.xxh64 === undefined) {
      const xxh64 = await xxh64Hex(bytes);
      if (xxh64 !== undefined) verdict.checksums.set(key, xxh64);
    }
  } catch (error) {
    if (error instanceof Stalled) throw error.reason;
    if (isBroken(error)) verdict.broken.add(key);
    else if (error instanceof MixtabError && error.code === 'record-unreadable') verdict.unreadable.add(key);
    else throw error;
  }
}

/** A record that could not be read leaves the state as it was. */
function stateOf({ broken, unreadable }: Verdict, { state }: ModelManifest): ModelManifest['state'] {
  if (broken.size > 0) return 'damaged';
  return unreadable.size > 0 ? state : 'complete';
}

const withChecksums = (records: readonly RecordInfo[], { checksums }: Verdict): RecordInfo[] =>
  records.map((record) => {
    const xxh64 = checksums.get(record.key);
    return xxh64 === undefined ? record : { ...record, xxh64 };
  });

/** The error for a model id that is not in the store. */
export const modelNotFound = (id: string): MixtabError =>
  new MixtabError('model-not-found', `No model ${id} is stored.`, 'Choose one of the stored models.');
