/** Sorts the choices of a batch of tokens by expert, for the expert kernels. Pure. */
import { type ExpertIndex, expertIndex } from '../../src/contract/ids.ts';
import { GROUPS_HEADER_BYTES, MAX_GROUPS } from '../compute/gpu/ops/context.ts';

/** An expert and the choices that fell on it: p = token * expertsPerToken + k. */
export interface ExpertGroup {
  expert: ExpertIndex;
  assignments: number[];
}

/** @param selectedExperts [tokens * expertsPerToken] expert indices; groups come out in order of expert */
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
 * The groups as the kernels read them (shaders/lib/groups.wgsl).
 * @param slotOf slot of a resident expert
 */
export function encodeGroups(
  groups: readonly ExpertGroup[],
  slotOf: (expert: ExpertIndex) => number,
): Uint32Array<ArrayBuffer> {
  if (groups.length > MAX_GROUPS) throw new RangeError(`${groups.length} groups exceed ${MAX_GROUPS}`);
  const header = GROUPS_HEADER_BYTES / 4;
  const total = groups.reduce((sum, { assignments }) => sum + assignments.length, 0);
  const words = new Uint32Array(header + total);
  let first = 0;
  for (const [g, { expert, assignments }] of groups.entries()) {
    words.set([slotOf(expert), first, assignments.length, 0], g * 4);
    words.set(assignments, header + first);
    first += assignments.length;
  }
  return words;
}
