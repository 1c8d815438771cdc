import { expect, it } from 'vitest';
import type { EngineApi } from '../../src/contract/engine-api.ts';
import { lazyEngine } from './lazy-engine.ts';

it('makes the engine once, keeps the order of calls, and tries again after a failure', async () => {
  const calls: string[] = [];
  let made = 0;
  const engine = lazyEngine(async () => {
    made += 1;
    if (made === 1) throw new Error('offline');
    return {
      generate: async () => calls.push('generate'),
      stop: async () => calls.push('stop'),
    } as unknown as EngineApi;
  });
  await expect(engine.stop()).rejects.toThrow('offline');
  await Promise.all([engine.generate({} as never, () => {}), engine.stop(), engine.generate({} as never, () => {})]);
  expect(calls).toEqual(['generate', 'stop', 'generate']);
  expect(made).toBe(2);
});
