/** What the backends share in loading a model. */
import type { LoadProgress, LoadRequest } from '../../src/contract/engine-api.ts';
import { type Bytes, expertIndex, layerIndex } from '../../src/contract/ids.ts';
import type { ExpertCache } from '../experts/expert-cache.ts';
import { importEnded } from '../store/record-requests.ts';
import type { ModelRecords } from './model-records.ts';

/** Context if the request names none. A longer one takes KV memory that most chats never use. */
const DEFAULT_CONTEXT = 4096;
/** Models whose experts take less are loaded completely. The slots of larger ones fill with use. */
const PRELOAD_BYTES: Bytes = 512e6;

export interface LoadInputs {
  records: ModelRecords;
  request: LoadRequest;
  onProgress: (progress: LoadProgress) => void;
}

/** Positions that the KV cache should be able to hold. */
export function contextOf({ records, request }: Pick<LoadInputs, 'records' | 'request'>): number {
  return request.context ?? Math.min(records.manifest.config.contextLength, DEFAULT_CONTEXT);
}

/** GiB of main memory as the browser reports it, rounded and capped; undefined if it does not. */
export const deviceMemory = (): number | undefined =>
  (globalThis.navigator as { deviceMemory?: number } | undefined)?.deviceMemory;

/**
 * Fills all slots of a small model, if every expert has one.
 * @param slots of all layers
 */
export async function preloadExperts(
  { records, onProgress }: LoadInputs,
  experts: ExpertCache,
  slots: number,
): Promise<void> {
  const { manifest, expertBytes: bytesTotal } = records;
  const { expertCount, layerCount } = manifest.config;
  if (bytesTotal > PRELOAD_BYTES || slots < expertCount * layerCount) return;
  if (manifest.state === 'importing') {
    // A download may take hours, so do not wait for it. The built-in model arrives with the page, and fastest if no
    // single records are requested: its experts are handed over as they are stored, or read when all are.
    if (manifest.source !== 'builtin') return;
    if (!(await records.isArriving())) await importEnded();
  }
  const all = Array.from({ length: expertCount }, (_, expert) => expertIndex(expert));
  for (let layer = 0; layer < layerCount; layer++) {
    onProgress({ phase: 'experts', bytesDone: (bytesTotal * layer) / layerCount, bytesTotal });
    await experts.loadAll(layerIndex(layer), all);
  }
  experts.resetCounts();
}
