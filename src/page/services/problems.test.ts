import { expect, it, vi } from 'vitest';
import { MixtabError } from '../../contract/errors.ts';
import { problem } from '../state/notices.ts';

vi.stubGlobal('document', { documentElement: { style: {} } });
const { report } = await import('./problems.ts');

it('shows at most the beginning of a very long message or remedy', () => {
  report(new MixtabError('gguf-damaged', `The name ${'x'.repeat(1e6)} is too long.`, 'y'.repeat(1e6)));
  expect(problem.value?.message).toMatch(/^The name x{291}…$/);
  expect(problem.value?.remedy).toHaveLength(301);
  report(new Error('z'.repeat(1e6)));
  expect(problem.value?.message).toMatch(/^z{200}…$/);
});
