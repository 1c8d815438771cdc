/** Statistics of the expert cache, for the answer's statistics and the page's expert map. */
import { type CacheReport, type ExpertsReport, RESIDENCE } from '../../src/contract/engine-api.ts';
import { type Bytes, type ExpertIndex, expertIndex, type LayerIndex, layerIndex } from '../../src/contract/ids.ts';
import type { RecordParts } from '../format/record-parts.ts';
import type { ExpertLoader } from './expert-loader.ts';
import type { ExpertSlots } from './expert-slots.ts';
import type { RamTier } from './ram-tier.ts';

/** What one token, or a prompt, used in one layer. */
export interface LayerAccess {
  layer: LayerIndex;
  /** Distinct. */
  experts: readonly ExpertIndex[];
  /** Experts without a slot. */
  missing: number;
  /** Those of the missing experts whose prefetch had begun. */
  missingButPrefetched: number;
  /** Resident experts that a prediction has loaded and that were not used before. */
  prefetchHits: number;
}

export interface CacheStatisticsOptions {
  slots: ExpertSlots;
  ram: RamTier<RecordParts>;
  loader: ExpertLoader<RecordParts>;
}

/** Hits, misses and bytes read, and where every expert is. All counts are since the last {@link reset}. */
export class CacheStatistics {
  readonly #slots: ExpertSlots;
  readonly #ram: RamTier<RecordParts>;
  readonly #loader: ExpertLoader<RecordParts>;
  /** Uses of each expert, [layers, experts]. */
  readonly #uses: Uint32Array<ArrayBuffer>;
  /** Experts that the newest token used, by layer. */
  #newest: (readonly ExpertIndex[])[] = [];
  #counts = zeroCounts();
  /** The loader's `bytesRead` at the last reset. */
  #bytesReadBefore: Bytes = 0;

  constructor({ slots, ram, loader }: CacheStatisticsOptions) {
    this.#slots = slots;
    this.#ram = ram;
    this.#loader = loader;
    this.#uses = new Uint32Array(slots.layerCount * slots.expertCount);
  }

  recordAccess({ layer, experts, missing, missingButPrefetched, prefetchHits }: LayerAccess): void {
    for (const expert of experts) this.#uses[layer * this.#slots.expertCount + expert]++;
    this.#newest[layer] = experts;
    // A prefetch hit is a miss that was predicted in time: the expert was not resident before the token.
    this.#counts.misses += missing + prefetchHits;
    this.#counts.prefetched += missingButPrefetched + prefetchHits;
    this.#counts.hits += experts.length - missing - prefetchHits;
  }

  /** Counts a token that had to wait for an expert. */
  countStall(): void {
    this.#counts.stalls++;
  }

  report(): CacheReport {
    const { hits, misses } = this.#counts;
    return {
      slots: this.#slots.slotCount,
      ...this.#counts,
      hitRate: hits + misses ? hits / (hits + misses) : 1,
      bytesRead: this.#loader.bytesRead - this.#bytesReadBefore,
    };
  }

  /** Where every expert is now, how often it was used, and whether the newest token used it; each [layers, experts]. */
  residence(): Pick<ExpertsReport, 'residence' | 'uses' | 'newest'> {
    const { layerCount, expertCount } = this.#slots;
    const residence = new Uint8Array(this.#uses.length);
    const newest = new Uint8Array(this.#uses.length);
    for (let l = 0; l < layerCount; l++) {
      for (let e = 0; e < expertCount; e++) {
        residence[l * expertCount + e] = this.#residenceOf(layerIndex(l), expertIndex(e));
      }
      for (const expert of this.#newest[l] ?? []) newest[l * expertCount + expert] = 1;
    }
    return { residence, uses: this.#uses.slice(), newest };
  }

  reset(): void {
    this.#uses.fill(0);
    this.#newest = [];
    this.#counts = zeroCounts();
    this.#bytesReadBefore = this.#loader.bytesRead;
  }

  #residenceOf(layer: LayerIndex, expert: ExpertIndex): number {
    if (this.#slots.isResident(layer, expert)) return this.#slots.residence;
    return this.#ram.has(this.#slots.idOf(layer, expert)) ? RESIDENCE.ram : RESIDENCE.store;
  }
}

const zeroCounts = () => ({ hits: 0, misses: 0, prefetched: 0, stalls: 0 });
