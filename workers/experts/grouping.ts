/** Groups the tokens of a batch by the experts that their router selected, for the expert kernels. Pure. */
import { type ExpertIndex, expertIndex } from '../../src/contract/ids.ts';
import { GROUPS_HEADER_BYTES, MAX_GROUPS } from '../compute/gpu/ops/context.ts';

/** An expert and its assignments, each p = token * expertsPerToken + rank for a token whose rank-th expert it is. */
export interface ExpertGroup {
  expert: ExpertIndex;
  assignments: number[];
}

/** The distinct experts of a list of selected experts, in order of first appearance. */
export function distinctExperts(selectedExperts: ArrayLike<number>): ExpertIndex[] {
  return [...new Set(Array.from(selectedExperts, expertIndex))];
}

/**
 * Groups the assignments of a batch by expert.
 * @param selectedExperts expert indices, [tokens * expertsPerToken]
 * @returns one group per distinct expert, sorted by expert; assignments ascend
 */
export function groupByExpert(selectedExperts: ArrayLike<number>): ExpertGroup[] {
  const groups = new Map<number, number[]>();
  for (let p = 0; p < selectedExperts.length; p++) {
    const group = groups.get(selectedExperts[p]);
    if (group) group.push(p);
    else groups.set(selectedExperts[p], [p]);
  }
  return [...groups]
    .sort(([a], [b]) => a - b)
    .map(([expert, assignments]) => ({ expert: expertIndex(expert), assignments }));
}

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
