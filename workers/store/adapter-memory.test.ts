import { expect, it, vi } from 'vitest';
import { AdapterMemory, adapterKey } from './adapter-memory.ts';

it('knows facts until the tab is closed where there is no database', async () => {
  const memory = new AdapterMemory('a');
  expect(await memory.get('kernels')).toBeUndefined();
  await memory.set('kernels', { vector: 'rows' });
  expect(await memory.get('kernels')).toEqual({ vector: 'rows' });
  expect(await new AdapterMemory('a').get('kernels')).toBeUndefined();
});

it('sees what another tab has stored since', async () => {
  const database = new Map<IDBValidKey, unknown>();
  const idb = { createStore: () => {}, get: async (key: string) => database.get(key) };
  vi.doMock('idb-keyval', () => ({
    ...idb,
    set: async (key: string, value: unknown) => void database.set(key, value),
  }));
  vi.resetModules();
  const { AdapterMemory: Stored } = await import('./adapter-memory.ts');
  vi.doUnmock('idb-keyval');
  const tabs = [new Stored('a'), new Stored('a')];
  await tabs[0].set('uses', 1);
  await tabs[1].set('uses', 2);
  expect(await tabs[0].get('uses')).toBe(2);
});

it('tells adapters and browser versions apart', () => {
  const adapter = { vendor: 'intel', architecture: 'xe', description: '' };
  const keys = [
    adapterKey(adapter, 'Chrome/150'),
    adapterKey(adapter, 'Chrome/151'),
    adapterKey({ ...adapter, vendor: 'nvidia' }, 'Chrome/150'),
  ];
  expect(new Set(keys).size).toBe(3);
});
