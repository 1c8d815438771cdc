/** Reads the weight records of one stored model. */
import { MixtabError } from '../../src/contract/errors.ts';
import type { Bytes, ExpertIndex, LayerIndex } from '../../src/contract/ids.ts';
import {
  denseKey,
  EMBEDDING_KEY,
  expertKey,
  isExpertKey,
  type ModelManifest,
  OUTPUT_KEY,
  partKey,
  type RecordInfo,
} from '../format/manifest.ts';
import type { RecordParts } from '../format/record-parts.ts';
import type { TensorLayout } from '../format/weight-layout.ts';
import type { RecordReader } from '../store/record-reader.ts';
import type { ReadForm } from '../store/store.ts';

/** Where an expert's matrices are in its record, and their types. */
export interface ExpertLayout {
  gate: TensorLayout;
  up: TensorLayout;
  down: TensorLayout;
}

/** The layouts of a layer's experts, by expert index. */
export type LayerExperts = readonly ExpertLayout[];

/** The weight records of one stored model: reads them, and knows how they are laid out. */
export class ModelRecords {
  readonly #byKey: ReadonlyMap<string, RecordInfo>;

  constructor(
    private readonly reader: RecordReader,
    readonly manifest: ModelManifest,
  ) {
    this.#byKey = new Map(manifest.records.map((record) => [record.key, record]));
  }

  /** The records of the dense weights, in the order of the forward pass. @throws MixtabError `record-missing` */
  denseRecords(): RecordInfo[] {
    return denseRecords(this.manifest.records, this.manifest.config.layerCount);
  }

  /** Size of all experts together. */
  get expertBytes(): Bytes {
    return sumBytes(this.manifest.records.filter(({ key }) => isExpertKey(key)));
  }

  /** How each expert's matrices are laid out in its record: [layer][expert]. @throws MixtabError `record-missing` */
  expertLayouts(): LayerExperts[] {
    const { layerCount, expertCount } = this.manifest.config;
    return Array.from({ length: layerCount }, (_, layer) =>
      Array.from({ length: expertCount }, (_, expert) => {
        const [gate, up, down] = this.#byKey.get(expertKey(layer, expert))?.tensors ?? [];
        if (gate && up && down) return { gate, up, down };
        throw new MixtabError(
          'record-missing',
          `The stored model has no record for expert ${expert} of layer ${layer}.`,
          'Import it again.',
        );
      }),
    );
  }

  /** @throws MixtabError `record-missing`, `record-damaged` */
  readonly readDense = (record: RecordInfo): Promise<RecordParts> => this.reader.read(this.manifest.id, record);

  /** @throws MixtabError `record-missing`, `record-damaged`, `aborted` */
  readonly readExpert = (
    layer: LayerIndex,
    expert: ExpertIndex,
    signal: AbortSignal,
    form?: ReadForm,
  ): Promise<RecordParts> =>
    this.reader.read(this.manifest.id, this.#byKey.get(expertKey(layer, expert))!, signal, form);

  /** Whether records that are still to be imported arrive without being requested. */
  async isArriving(): Promise<boolean> {
    return (await this.reader.isArriving?.()) ?? false;
  }

  /** Hands the memory of a record to the next read. The record must not be used after that. */
  readonly recycle = (record: RecordParts): void => this.reader.recycle?.(record);
}

/** The sizes of records, added up. */
export const sumBytes = (records: readonly RecordInfo[]): Bytes => records.reduce((sum, { bytes }) => sum + bytes, 0);

/** Returns the records without experts: embedding, layers, output. @throws MixtabError `record-missing` */
function denseRecords(records: readonly RecordInfo[], layerCount: number): RecordInfo[] {
  const byKey = new Map(records.map((record) => [record.key, record]));
  const partsOf = (first: string) => {
    const keys = [first];
    while (byKey.has(partKey(first, keys.length))) keys.push(partKey(first, keys.length));
    return keys;
  };
  const layers = Array.from({ length: layerCount }, (_, layer) => denseKey(layer));
  return [...partsOf(EMBEDDING_KEY), ...layers, ...partsOf(OUTPUT_KEY)].map((key) => {
    const record = byKey.get(key);
    if (!record) throw new MixtabError('record-missing', `The stored model has no record ${key}.`, 'Import it again.');
    return record;
  });
}
