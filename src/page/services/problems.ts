/** Shows errors. Every error that the user should see goes through `report`. */
import { type ErrorCode, errorToData, excerpt, losesModel } from '../../contract/errors.ts';
import { tokenWanted } from '../state/access-token.ts';
import { loaded, loadedElsewhere } from '../state/models.ts';
import { problem } from '../state/notices.ts';

/** Errors that another tab's model may have caused. */
const MEMORY_RAN_OUT: readonly ErrorCode[] = ['gpu-out-of-memory', 'out-of-memory'];

/** Longest message that is shown, in UTF-16 code units. Ours are shorter; an error of the browser may quote a file. */
const MAX_SHOWN = 300;

/** Shows an error as a notice. `aborted` is not shown, because the user asked for it. */
export function report(error: unknown): void {
  const data = errorToData(error);
  if (data.code === 'aborted') return;
  if (losesModel(data)) loaded.value = undefined;
  if (data.code === 'source-gated') tokenWanted.value = true;
  if (MEMORY_RAN_OUT.includes(data.code) && loadedElsewhere.value.length > 0)
    data.remedy = `Close the other tab that has a model in memory. ${data.remedy}`;
  problem.value = { ...data, message: excerpt(data.message, MAX_SHOWN), remedy: excerpt(data.remedy, MAX_SHOWN) };
}

/** Hides the error notice. */
export function dismissProblem(): void {
  problem.value = undefined;
}
