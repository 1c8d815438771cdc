/** The one way in which a failure reaches the user. */
import { type ErrorCode, errorToData } from '../../contract/errors.ts';
import { tokenWanted } from '../state/access-token.ts';
import { loaded, problem } from '../state/state.ts';
import { loadedElsewhere } from './tabs.ts';

/** After these the engine has no model any more: the next answer loads it again. */
const UNLOADED: readonly ErrorCode[] = ['webgpu-device-lost', 'gpu-out-of-memory', 'no-model-loaded'];

export function report(error: unknown): void {
  const data = errorToData(error);
  if (data.code === 'aborted') return;
  if (UNLOADED.includes(data.code)) loaded.value = undefined;
  if (data.code === 'source-gated') tokenWanted.value = true;
  if (data.code === 'gpu-out-of-memory' && loadedElsewhere.value.length > 0)
    data.remedy = `Close the other tab that holds a model in GPU memory. ${data.remedy}`;
  problem.value = data;
}

export function dismissProblem(): void {
  problem.value = undefined;
}
