/**
 * Compares samples of a file with a stored model, without reading the rest of the file. Ids of earlier versions depended
 * on 16 samples only, so a model with such an id may be another tune of the same checkpoint.
 */
import type { Bytes } from '../../src/contract/ids.ts';
import type { PlannedRecord, PlannedTensor } from '../format/gguf/plan.ts';
import { isExpertKey, type RecordInfo } from '../format/manifest.ts';
import { isPlainType } from '../format/quantization/repack.ts';
import { blocksPerRow, WEIGHT_TYPES } from '../format/weight-layout.ts';
import type { RecordStore } from '../store/store.ts';
import type { ContentSample } from './content-samples.ts';

/** Expert records that are read. The samples of the old id lie mostly in experts, so the dense records matter more. */
const MAX_EXPERTS = 8;

/**
 * @param stored the records of a model, or those that an interrupted import has stored
 * @returns false if a sample differs from what is stored. Records that cannot be read are not compared.
 */
export async function sameAsStored(
  store: RecordStore,
  { id, stored }: { id: string; stored: readonly RecordInfo[] },
  planned: readonly PlannedRecord[],
  samples: readonly ContentSample[],
): Promise<boolean> {
  const infos = new Map(stored.map((info) => [info.key, info]));
  let experts = 0;
  for (const { key, tensors } of planned) {
    const info = infos.get(key);
    const pairs = tensors.flatMap((tensor) =>
      samples.filter((sample) => isWithin(sample, tensor)).map((sample) => ({ tensor, sample })),
    );
    if (!info || pairs.length === 0 || (isExpertKey(key) && ++experts > MAX_EXPERTS)) continue;
    const bytes = await store.readRecordVerified(id, info).catch(() => undefined);
    if (bytes && !pairs.every(({ tensor, sample }) => isInRecord(tensor, sample, bytes))) return false;
  }
  return true;
}

const isWithin = ({ offset, bytes }: ContentSample, tensor: PlannedTensor): boolean =>
  offset >= tensor.offset && offset + bytes.byteLength <= tensor.offset + tensor.bytes;

/** Whether a record has the bytes of a sample, at the places to which repacking moves them. */
function isInRecord({ layout, sourceType, offset }: PlannedTensor, sample: ContentSample, record: Uint8Array): boolean {
  const type = WEIGHT_TYPES[layout.type];
  if (layout.type !== sourceType.name) return true; // a norm that was widened to F32
  const same = (from: Bytes, to: Bytes, length: Bytes): boolean =>
    sample.bytes.subarray(from, from + length).every((byte, i) => record[layout.offset + to + i] === byte);
  const first = sample.offset - offset;
  if (isPlainType(type)) {
    const weightBytes = type.blockBytes / type.blockWeights;
    const rowBytes = layout.cols * weightBytes;
    const paddedBytes = blocksPerRow(type, layout.cols) * type.blockBytes;
    return Array.from({ length: sample.bytes.byteLength / weightBytes }, (_, n) => n * weightBytes).every((at) => {
      const row = Math.floor((first + at) / rowBytes);
      return same(at, row * paddedBytes + ((first + at) % rowBytes), weightBytes);
    });
  }
  const block = first / type.blockBytes;
  return Array.from({ length: sample.bytes.byteLength / type.blockBytes }, (_, n) => n).every((n) =>
    type.planes.every((plane, p) =>
      same(n * type.blockBytes + plane.offset, layout.planeOffsets[p] + (block + n) * plane.bytes, plane.bytes),
    ),
  );
}
