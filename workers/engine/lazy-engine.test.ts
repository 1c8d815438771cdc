import { expect, it } from 'vitest';
import type { EngineApi } from '../../src/contract/engine-api.ts';
import { lazyEngine } from './lazy-engine.ts';

it('fetches the code after the probe, and says nothing yet if that fails', async () => {
  const events: string[] = [];
  const create = async (): Promise<EngineApi> => {
    events.push('create');
    throw new Error('offline');
  };
  const engine = lazyEngine(create, async () => {
    events.push('probe');
    return {};
  });
  expect(await engine.probe()).toEqual({});
  expect(events).toEqual(['probe', 'create']);
  await new Promise((resolve) => setTimeout(resolve)); // it has failed
  await expect(engine.stop()).rejects.toThrow('offline');
  expect(events).toEqual(['probe', 'create', 'create']);
});

it('creates the engine once, keeps the order of calls, and tries again after a failure', async () => {
  const calls: string[] = [];
  let created = 0;
  const engine = lazyEngine(async () => {
    created += 1;
    if (created === 1) throw new Error('offline');
    return {
      generate: async () => calls.push('generate'),
      stop: async () => calls.push('stop'),
    } as unknown as EngineApi;
  });
  await expect(engine.stop()).rejects.toThrow('offline');
  await Promise.all([engine.generate({} as never, () => {}), engine.stop(), engine.generate({} as never, () => {})]);
  expect(calls).toEqual(['generate', 'stop', 'generate']);
  expect(created).toBe(2);
});
