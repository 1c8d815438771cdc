import { describe, expect, it } from 'vitest';
import { abortable } from './abortable.ts';

describe('orStopped', () => {
  it('gives what the work gives, and throws what it throws', async () => {
    expect(await abortable(Promise.resolve(7), () => false)).toBe(7);
    await expect(abortable(Promise.reject(new Error('broken')), () => false)).rejects.toThrow('broken');
  });

  it('ends a wait for what never comes', async () => {
    let asked = 0;
    await expect(abortable(new Promise(() => {}), () => ++asked > 1)).rejects.toMatchObject({ code: 'aborted' });
    expect(asked).toBe(2);
  });

  it('throws what asking throws', async () => {
    const lost = (): boolean => {
      throw new Error('device lost');
    };
    await expect(abortable(new Promise(() => {}), lost)).rejects.toThrow('device lost');
  });
});
