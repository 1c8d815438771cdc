import { afterEach, expect, it, vi } from 'vitest';
import { compileKernels } from './compile-kernels.ts';

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const EMPTY_MODULE = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);

it.each([
  ['the server', () => new Promise<Response>(() => {})],
  ['the connection', async () => new Response(new ReadableStream())],
])('ends if %s never delivers the kernels, and fetches them again the next time', async (_, fetchNothing) => {
  vi.useFakeTimers();
  vi.stubGlobal('fetch', fetchNothing);
  const ended = vi.fn();
  compileKernels().catch(ended);
  await vi.advanceTimersByTimeAsync(59_000);
  expect(ended).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1000);
  expect(ended.mock.lastCall![0]).toMatchObject({
    code: 'source-unreachable',
    message: 'The code that computes on the CPU has not arrived within 60 s.',
    remedy: 'Check the connection and try again.',
  });
});

it('reports a connection that ends early, and compiles once', async () => {
  const cut = new ReadableStream({ start: (controller) => controller.error(new TypeError('network error')) });
  vi.stubGlobal('fetch', async () => new Response(cut));
  await expect(compileKernels()).rejects.toMatchObject({ code: 'source-unreachable' });
  const fetchKernels = vi.fn(async () => new Response(EMPTY_MODULE));
  vi.stubGlobal('fetch', fetchKernels);
  const first = await compileKernels();
  expect(await compileKernels()).toBe(first);
  expect(fetchKernels).toHaveBeenCalledTimes(1);
});
