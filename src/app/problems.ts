/** The one way in which a failure reaches the user. */
import { errorToData } from '../contract/errors.ts';
import { tokenWanted } from '../library/token.ts';
import { loaded, problem } from './state.ts';

export function report(error: unknown): void {
  const data = errorToData(error);
  if (data.code === 'aborted') return;
  if (data.code === 'webgpu-device-lost') loaded.value = undefined;
  if (data.code === 'source-gated') tokenWanted.value = true;
  problem.value = data;
}

export function dismissProblem(): void {
  problem.value = undefined;
}
