import { describe, expect, it } from 'vitest';
import { piecesOf } from './session.ts';

describe('the pieces of a saved cache', () => {
  it('cover every byte once, in order, none larger than allowed', () => {
    const pieces = piecesOf(2, 250, 100);
    expect(pieces.map(({ layer, kind, offset, size }) => `${layer} ${kind} ${offset}+${size}`)).toEqual([
      '0 keys 0+100',
      '0 keys 100+100',
      '0 keys 200+50',
      '0 values 0+100',
      '0 values 100+100',
      '0 values 200+50',
      '1 keys 0+100',
      '1 keys 100+100',
      '1 keys 200+50',
      '1 values 0+100',
      '1 values 100+100',
      '1 values 200+50',
    ]);
  });

  it('are whole buffers where these are small', () => {
    expect(piecesOf(1, 100, 100)).toEqual([
      { layer: 0, kind: 'keys', offset: 0, size: 100 },
      { layer: 0, kind: 'values', offset: 0, size: 100 },
    ]);
  });
});
