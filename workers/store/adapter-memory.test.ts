import { expect, it } from 'vitest';
import { AdapterMemory, adapterKey } from './adapter-memory.ts';

it('knows facts until the tab is closed where there is no database', async () => {
  const memory = new AdapterMemory('a');
  expect(await memory.get('kernels')).toBeUndefined();
  await memory.set('kernels', { vector: 'rows' });
  expect(await memory.get('kernels')).toEqual({ vector: 'rows' });
  expect(await new AdapterMemory('a').get('kernels')).toBeUndefined();
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
