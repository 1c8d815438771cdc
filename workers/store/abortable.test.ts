import { describe, expect, it } from 'vitest';
import { MixtabError } from '../../src/contract/errors.ts';
import { abortable } from './abortable.ts';

describe('abortable', () => {
  const never = new Promise<never>(() => {});

  it('resolves and rejects like the promise', async () => {
    const { signal } = new AbortController();
    expect(await abortable(signal, Promise.resolve(7))).toBe(7);
    await expect(abortable(signal, Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  });

  it('ends the wait for a promise that never settles when the signal is aborted', async () => {
    const controller = new AbortController();
    const waiting = abortable(controller.signal, never);
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'aborted' });
    await expect(abortable(controller.signal, never)).rejects.toMatchObject({ code: 'aborted' });
  });

  it('rejects with the reason of the signal if that is a MixtabError', async () => {
    const lost = AbortSignal.abort(new MixtabError('webgpu-device-lost', 'device lost'));
    await expect(abortable(lost, never)).rejects.toThrow('device lost');
  });

  it('leaves no rejection unhandled that comes after the abort', async () => {
    let fail = (_: Error): void => {};
    const late = new Promise<never>((_, reject) => {
      fail = reject;
    });
    await expect(abortable(AbortSignal.abort(), late)).rejects.toMatchObject({ code: 'aborted' });
    fail(new Error('late'));
    await new Promise((resolve) => setTimeout(resolve));
  });
});
