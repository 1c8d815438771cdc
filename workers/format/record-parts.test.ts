import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { joinParts, onePart, rangeOf } from './record-parts.ts';

it('any range of any parts equals that range of the joined bytes', () => {
  const parts = fc.array(fc.uint8Array({ maxLength: 12 }), { maxLength: 6 });
  fc.assert(
    fc.property(parts, fc.nat(40), fc.nat(40), (pieces, from, length) => {
      const record = {
        byteLength: pieces.reduce((sum, { byteLength }) => sum + byteLength, 0),
        parts: pieces as Uint8Array<ArrayBuffer>[],
      };
      const whole = joinParts(record);
      expect([...whole]).toEqual(pieces.flatMap((piece) => [...piece]));
      const range = new Uint8Array(Math.max(0, Math.min(length, record.byteLength - from)));
      for (const { at, bytes } of rangeOf(record, from, length)) range.set(bytes, at);
      expect(range).toEqual(whole.slice(from, from + length));
    }),
  );
});

it('a single part is not copied', () => {
  const bytes = new Uint8Array(8);
  expect(joinParts(onePart(bytes))).toBe(bytes);
  expect(rangeOf(onePart(bytes), 2, 4)[0].bytes.buffer).toBe(bytes.buffer);
});
