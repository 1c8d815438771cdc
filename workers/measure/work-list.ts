import type { Slice } from '../compute/gpu/dispatch.ts';
import { GROUPS_HEADER_BYTES } from '../compute/gpu/ops/context.ts';
import type { Buffers } from './buffers.ts';

/**
 * The work list of `used` experts in the slots 0, 1 ..., with equally many assignments each. Neighboring assignments go
 * to different experts: assignment p to slot p % used.
 */
export function workList(buffers: Buffers, used: number, assignments: number): Slice {
  const words = new Uint32Array(GROUPS_HEADER_BYTES / 4 + assignments);
  const each = assignments / used;
  for (let group = 0; group < used; group++) words.set([group, group * each, each, 0], group * 4);
  for (let p = 0; p < assignments; p++) {
    words[GROUPS_HEADER_BYTES / 4 + Math.floor(p / used) + (p % used) * each] = p;
  }
  return buffers.upload(words);
}
