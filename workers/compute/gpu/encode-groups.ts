/** Encodes the tokens of a batch, grouped by expert, for the expert kernels. Pure. */
import type { ExpertIndex } from '../../../src/contract/ids.ts';
import type { ExpertGroup } from '../../experts/grouping.ts';
import { GROUPS_HEADER_BYTES, MAX_GROUPS } from './ops/context.ts';

/**
 * Encodes groups as the kernels read them (shaders/lib/groups.wgsl).
 * @param slotOf slot of a resident expert, as the slot table holds it
 * @throws RangeError if there are more groups than the kernels' header holds (`MAX_GROUPS`)
 */
export function encodeGroups(
  groups: readonly ExpertGroup[],
  slotOf: (expert: ExpertIndex) => number,
): Uint32Array<ArrayBuffer> {
  if (groups.length > MAX_GROUPS) throw new RangeError(`${groups.length} groups exceed ${MAX_GROUPS}`);
  const headerWords = GROUPS_HEADER_BYTES / 4;
  const total = groups.reduce((sum, { assignments }) => sum + assignments.length, 0);
  const words = new Uint32Array(headerWords + total);
  let first = 0;
  for (const [g, { expert, assignments }] of groups.entries()) {
    words.set([slotOf(expert), first, assignments.length, 0], g * 4);
    words.set(assignments, headerWords + first);
    first += assignments.length;
  }
  return words;
}
