/** Shows errors. Every error that the user should see goes through `report`. */
import { type ErrorCode, errorToData } from '../../contract/errors.ts';
import { tokenWanted } from '../state/access-token.ts';
import { loaded, loadedElsewhere } from '../state/models.ts';
import { problem } from '../state/notices.ts';

/** After one of these errors the engine has no model any more. */
const MODEL_LOST: readonly ErrorCode[] = ['webgpu-device-lost', 'gpu-out-of-memory', 'no-model-loaded'];

/** Shows an error as a notice. `aborted` is not shown, because the user asked for it. */
export function report(error: unknown): void {
  const data = errorToData(error);
  if (data.code === 'aborted') return;
  if (MODEL_LOST.includes(data.code)) loaded.value = undefined;
  if (data.code === 'source-gated') tokenWanted.value = true;
  if (data.code === 'gpu-out-of-memory' && loadedElsewhere.value.length > 0)
    data.remedy = `Close the other tab that has a model in GPU memory. ${data.remedy}`;
  problem.value = data;
}

/** Hides the error notice. */
export function dismissProblem(): void {
  problem.value = undefined;
}
