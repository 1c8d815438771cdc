import { expect, it } from 'vitest';
import { dequantize } from '../../format/quantization/dequantize.ts';
import { ggufBytes, repackTensor } from '../../format/quantization/repack.ts';
import { layoutTensor, WEIGHT_TYPES, type WeightTypeName } from '../../format/weight-layout.ts';
import { Embedding } from './embedding.ts';

const COLUMNS = 512;

/** A matrix with arbitrary bytes, as a GGUF has it and repacked behind `offset` bytes of something else. */
function someMatrix(name: WeightTypeName, rows: number, offset: number) {
  const type = WEIGHT_TYPES[name];
  const gguf = Uint8Array.from({ length: ggufBytes(type, rows, COLUMNS) }, (_, i) => (i * 37 + (i >> 8) * 11) & 0x7b);
  const layout = layoutTensor('token_embd', type, rows, COLUMNS, offset);
  const record = new Uint8Array(offset + layout.bytes);
  repackTensor(gguf, layout, record);
  return { layout, record, weights: dequantize(name, gguf) };
}

it.each(Object.keys(WEIGHT_TYPES) as WeightTypeName[])('finds the rows of two parts in %s', (name) => {
  const parts = [someMatrix(name, 5, 0), someMatrix(name, 3, 256)];
  const embedding = new Embedding();
  for (const { layout, record } of parts) embedding.add(layout, record);
  const all = parts.flatMap(({ weights }) => [...weights]);
  for (let token = 0; token < 8; token++) {
    expect([...embedding.row(token)]).toEqual(all.slice(token * COLUMNS, (token + 1) * COLUMNS));
  }
  expect(() => embedding.row(8)).toThrow(RangeError);
});
