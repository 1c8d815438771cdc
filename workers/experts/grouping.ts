/** Groups the tokens of a batch by the experts that their router selected. Pure. */
import { type ExpertIndex, expertIndex } from '../../src/contract/ids.ts';

/** An expert and its assignments, each p = token * expertsPerToken + rank for a token whose rank-th expert it is. */
export interface ExpertGroup {
  expert: ExpertIndex;
  assignments: number[];
}

/** The distinct experts of a list of selected experts, in order of first appearance. */
export function distinctExperts(selectedExperts: ArrayLike<number>): ExpertIndex[] {
  const distinct: ExpertIndex[] = [];
  for (let i = 0; i < selectedExperts.length; i++) {
    const expert = expertIndex(selectedExperts[i]);
    if (!distinct.includes(expert)) distinct.push(expert);
  }
  return distinct;
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
