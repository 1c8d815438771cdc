import { expect, it } from 'vitest';
import { fetchCode } from './fetch-code.ts';

it('code that is missing is an error that says to reload the page', async () => {
  expect(await fetchCode('adds', async () => 3)).toBe(3);
  const missing = fetchCode('adds', () => Promise.reject(new TypeError('Failed to fetch dynamically imported module')));
  await expect(missing).rejects.toMatchObject({
    code: 'worker-unavailable',
    message: expect.stringContaining('The part of mixtab that adds could not be loaded (TypeError: Failed to fetch'),
    remedy: expect.stringContaining('reload the page'),
  });
});
