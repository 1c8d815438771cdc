import { describe, expect, it } from 'vitest';
import { judgeSpace } from './storage-space.ts';

describe('judgeSpace', () => {
  it("refuses only if the reported space is below the browser's cap", () => {
    const GiB = 2 ** 30;
    expect(judgeSpace(5e9, undefined)).toBe('enough');
    expect(judgeSpace(5e9, 6e9)).toBe('enough');
    expect(judgeSpace(5e9, 4e9)).toBe('refuse');
    expect(judgeSpace(26e9, 10 * GiB)).toBe('maybe');
    expect(judgeSpace(26e9, 20e9)).toBe('maybe');
  });
});
