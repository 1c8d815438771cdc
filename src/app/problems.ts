/** The one way in which a failure reaches the user. */
import { errorToData } from '../contract/errors.ts';
import { tokenWanted } from '../library/token.ts';
import { loaded, problem } from './state.ts';
import { loadedElsewhere } from './tabs.ts';

export function report(error: unknown): void {
  const data = errorToData(error);
  if (data.code === 'aborted') return;
  if (data.code === 'webgpu-device-lost') loaded.value = undefined;
  if (data.code === 'source-gated') tokenWanted.value = true;
  if (data.code === 'gpu-out-of-memory' && loadedElsewhere.value.length > 0) data.remedy = `Close the other tab that holds a model in GPU memory. ${data.remedy}`;
  problem.value = data;
}

export function dismissProblem(): void {
  problem.value = undefined;
}
