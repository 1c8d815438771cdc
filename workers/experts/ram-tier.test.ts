import { describe, expect, it } from 'vitest';
import { RamTier } from './ram-tier.ts';

const record = (bytes: number) => new Uint8Array(bytes);

describe('RamTier', () => {
  it('evicts the least recently used to stay within its budget', () => {
    const tier = new RamTier<Uint8Array>(100);
    tier.put('a', record(40));
    const b = record(40);
    tier.put('b', b);
    expect(tier.get('a')).toHaveLength(40);
    const [oldest] = tier.put('c', record(40));
    expect(oldest).toBe(b);
    expect(tier.get('b')).toBeUndefined();
    expect(tier.get('a')).toBeDefined();
    expect(tier.get('c')).toBeDefined();
    expect(tier.bytes).toBe(80);
  });

  it('does not keep a record that is larger than the budget, and evicts nothing for it', () => {
    const tier = new RamTier<Uint8Array>(100);
    tier.put('a', record(60));
    tier.put('huge', record(101));
    expect(tier.get('huge')).toBeUndefined();
    expect(tier.get('a')).toBeDefined();
    expect(new RamTier(0).get('a')).toBeUndefined();
  });

  it('counts a record once if it is put twice', () => {
    const tier = new RamTier<Uint8Array>(100);
    tier.put('a', record(60));
    tier.put('a', record(60));
    expect(tier.bytes).toBe(60);
  });
});
