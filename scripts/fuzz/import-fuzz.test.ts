/** Mutated GGUF files, the same ones in every run. `scripts/fuzz-gguf.ts` imports as many as one likes. */
import { describe, expect, it } from 'vitest';
import { SYNTH_PRESETS } from '../../workers/synth/presets.ts';
import { createSynth } from '../../workers/synth/synth.ts';
import { putTogether, takeApart } from './gguf-parts.ts';
import { fuzzImports, MAX_ADDED_MB, memoryInUse } from './import-fuzz.ts';

describe('10,000 mutated files', () => {
  it('end as a model or with a gguf- error of bounded length, none after a second, and leave no memory taken', async () => {
    const outcomes = new Map<string, number>();
    const faults: string[] = [];
    let early = 0;
    await fuzzImports({ seed: 20_000, count: 10_000 }, (number, { outcome, fault }) => {
      if (number === 999) early = memoryInUse();
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      if (fault !== undefined) faults.push(`file ${number}: ${fault}`);
    });
    expect(faults).toEqual([]);
    expect(memoryInUse() - early).toBeLessThan(MAX_ADDED_MB);
    // The changes reach every stage: some files are still models, others fail in header, shape, plan or weights.
    for (const outcome of ['imported', 'gguf-damaged', 'gguf-truncated', 'gguf-missing-tensor', 'gguf-mixed-parts']) {
      expect(outcomes.get(outcome)).toBeGreaterThan(0);
    }
  });

  it('are made from files that are put together as they were', () => {
    const { read, size } = createSynth({ ...SYNTH_PRESETS.tiny, layers: 1 });
    const bytes = read(0, size);
    expect(Buffer.compare(putTogether(takeApart(bytes)), bytes)).toBe(0);
  });
});
