/** Loads and runs the experts of a layer at which a token waits. */
import type { ExpertIndex } from '../../../../src/contract/ids.ts';
import { distinctExperts } from '../../../experts/grouping.ts';
import { abortable } from '../../../store/abortable.ts';
import type { Dispatch } from '../dispatch.ts';
import { encodeGroups } from '../encode-groups.ts';
import type { DecodeContext, Stall } from './decode-context.ts';

/**
 * Loads the missing experts of a layer at which a token waits, then prefetches the predicted ones. Resident experts run
 * while the others are read, and each of those runs as soon as it is loaded. The last dispatches are returned, so that
 * the caller can submit them together with the next step. Each expert's output has its own row, so the order does not
 * matter.
 * @param dispatches the dispatches that run the layer's experts listed in `buffers.groups`; their cost is that of all
 * @returns the dispatches that are not submitted yet
 * @throws MixtabError `aborted`, or an error of reading or uploading an expert
 */
export async function loadAndRunExperts(
  context: DecodeContext,
  stall: Stall,
  dispatches: Dispatch[],
): Promise<Dispatch[]> {
  const { layer, selectedExperts, predictions } = stall;
  const { experts: cache, signal } = context.inputs;
  const distinct = distinctExperts(selectedExperts);
  const isResident = (expert: ExpertIndex): boolean => cache.slotOf(layer, expert) !== undefined;
  const resident = distinct.filter(isResident);
  const missing = distinct.filter((expert) => !isResident(expert));
  /** The dispatches when only some of a token's experts are listed. */
  const running = (count: number): Dispatch[] =>
    dispatches.map((dispatch) => ({ ...dispatch, cost: ((dispatch.cost ?? 0) * count) / selectedExperts.length }));
  const loads = cache.load(layer, distinct);
  cache.prefetch(predictions); // after the experts that are needed
  if (resident.length > 0) {
    writeGroups(context, stall, resident);
    if (missing.length === 0) return running(resident.length);
    context.submit(running(resident.length));
  }
  let pending = missing.length;
  const runs = missing.map(async (expert) => {
    await abortable(signal, loads[distinct.indexOf(expert)]);
    writeGroups(context, stall, [expert]);
    pending--;
    if (pending > 0) context.submit(running(1));
  });
  // Wait for all of them even if one fails: none may be submitted after whatever comes next.
  const failed = (await Promise.allSettled(runs)).find((run) => run.status === 'rejected');
  if (failed) throw failed.reason;
  return running(1);
}

/** Writes to the GPU which experts the layer's dispatches run next. */
function writeGroups(
  { inputs: { model, experts: cache } }: DecodeContext,
  { layer, selectedExperts }: Stall,
  experts: readonly ExpertIndex[],
): void {
  const groups = experts.map((expert) => ({ expert, assignments: [selectedExperts.indexOf(expert)] }));
  const words = encodeGroups(groups, (expert) => cache.slotOf(layer, expert)!);
  model.ctx.pipelines.device.queue.writeBuffer(model.buffers.groups.buffer, 0, words);
}
