import { describe, expect, it } from 'vitest';
import { regionsOf } from './session.ts';

describe('regionsOf', () => {
  it('covers every byte once, in order, in regions of at most the given size', () => {
    const regions = regionsOf(2, 250, 100);
    expect(regions.map(({ layer, kind, offset, size }) => `${layer} ${kind} ${offset}+${size}`)).toEqual([
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

  it('uses whole buffers if these are small', () => {
    expect(regionsOf(1, 100, 100)).toEqual([
      { layer: 0, kind: 'keys', offset: 0, size: 100 },
      { layer: 0, kind: 'values', offset: 0, size: 100 },
    ]);
  });
});
