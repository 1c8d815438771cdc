import { describe, expect, it } from 'vitest';
import { layoutTensor, WEIGHT_TYPES, type WeightTypeName } from '../weight-layout.ts';
import { findNonFinite } from './finite.ts';
import { findNonFiniteTensor } from './finite-record.ts';
import { repackTensor } from './repack.ts';

const [ROWS, COLS] = [5, 512];

/** A tensor of zero blocks as in a GGUF, in which the bytes of one block are 0xff. */
function withBadBlock(type: WeightTypeName, block: number | undefined): Uint8Array {
  const { blockBytes, blockWeights } = WEIGHT_TYPES[type];
  const raw = new Uint8Array((ROWS * COLS * blockBytes) / blockWeights);
  if (block !== undefined) raw.fill(0xff, block * blockBytes, (block + 1) * blockBytes);
  return raw;
}

describe.each(Object.keys(WEIGHT_TYPES) as WeightTypeName[])('%s', (type) => {
  it('a NaN is found in a record, whole or in parts, where the check at import finds it', () => {
    const { blockWeights } = WEIGHT_TYPES[type];
    const blocksPerRow = COLS / blockWeights;
    const first = layoutTensor('gate', WEIGHT_TYPES.F32, 1, 8, 0);
    const layout = layoutTensor('up', WEIGHT_TYPES[type], ROWS, COLS, first.bytes);
    for (const block of [undefined, 0, 3 * blocksPerRow + 1, ROWS * blocksPerRow - 1]) {
      const raw = withBadBlock(type, block);
      expect(findNonFinite(type, raw) !== undefined).toBe(block !== undefined);
      const record = new Uint8Array(layout.offset + layout.bytes);
      repackTensor(raw, layout, record);
      const expected = block === undefined ? undefined : { name: 'up', row: Math.floor(block / blocksPerRow) };
      expect(findNonFiniteTensor([first, layout], [record])).toEqual(expected);
      const parts = Array.from({ length: Math.ceil(record.length / 48) }, (_, i) => record.slice(i * 48, (i + 1) * 48));
      expect(findNonFiniteTensor([first, layout], parts)).toEqual(expected);
    }
  });
});
