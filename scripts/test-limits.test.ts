import { expect, it, vi } from 'vitest';

it('waits longer than the second that Vitest waits by default', async () => {
  const until = performance.now() + 1500;
  await vi.waitFor(() => expect(performance.now()).toBeGreaterThan(until));
  await expect.poll(() => performance.now()).toBeGreaterThan(until + 1500);
});

it('waits as long as a test says', async () => {
  const never = () => expect(1).toBe(2);
  await expect(vi.waitFor(never, 20)).rejects.toThrow('expected 1 to be 2');
  await expect(vi.waitFor(never, { timeout: 20, interval: 1 })).rejects.toThrow('expected 1 to be 2');
});
