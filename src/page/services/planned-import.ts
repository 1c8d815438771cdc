/** From a wish (an address, a repository, a file) to an import: what is large is shown before it starts. */
import { signal } from '@preact/signals';
import type { ModelInspection, ModelSource } from '../../contract/import-api.ts';
import { accessToken, urlSource } from '../state/access-token.ts';
import { showView } from '../state/route.ts';
import { problem, runningImport } from '../state/state.ts';
import { refreshDisk } from './disk-space.ts';
import { listRepo, type RepoFile, repoFrom } from './hugging-face.ts';
import { importModel } from './models.ts';
import { report } from './problems.ts';
import { sourceUrl } from './source-url.ts';
import { importer } from './workers.ts';

/** From this size on the user is asked before the download starts. */
const ASK_FROM_BYTES = 1e9;

export interface PlannedImport {
  source: ModelSource;
  name: string;
  inspection: ModelInspection;
}

/** What is being looked at. */
export const looking = signal<string | undefined>(undefined);
/** A large file that waits for the user's word. */
export const planned = signal<PlannedImport | undefined>(undefined);
/** Files to choose from. */
export const repo = signal<{ name: string; files: RepoFile[] } | undefined>(undefined);

/** An address or a repository, as it was typed. */
export async function planFromText(text: string): Promise<void> {
  planned.value = undefined;
  repo.value = undefined;
  problem.value = undefined;
  const name = repoFrom(text);
  if (name) await showRepo(name);
  else {
    try {
      await planUrl(sourceUrl(text));
    } catch (error) {
      report(error);
    }
  }
}

export async function showRepo(name: string): Promise<void> {
  looking.value = name;
  try {
    repo.value = { name, files: await listRepo(name, accessToken()) };
  } catch (error) {
    report(error);
  } finally {
    looking.value = undefined;
  }
}

export const planUrl = (url: string): Promise<void> => plan(urlSource(url), url.slice(url.lastIndexOf('/') + 1));

/** Imports the files that were chosen or dropped, and shows that it does. */
export function importFiles(files: readonly File[]): void {
  showView('models');
  if (files[0]) void plan({ kind: 'file', files: [...files] }, files[0].name);
}

/** Reads the header; a small file is imported at once. */
async function plan(source: ModelSource, name: string): Promise<void> {
  if (runningImport.value || looking.value) return;
  looking.value = name;
  planned.value = undefined;
  problem.value = undefined;
  try {
    const [inspection] = await Promise.all([importer.inspect(source), refreshDisk()]);
    planned.value = { source, name, inspection };
  } catch (error) {
    report(error);
  } finally {
    looking.value = undefined;
  }
  if (planned.value && planned.value.inspection.fileBytes < ASK_FROM_BYTES) await startPlanned();
}

export async function startPlanned(): Promise<void> {
  const plan = planned.value;
  if (!plan) return;
  planned.value = undefined;
  repo.value = undefined;
  await importModel(plan.source, plan.name);
  await refreshDisk();
}
