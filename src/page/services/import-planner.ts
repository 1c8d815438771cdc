/** Turns an address, a repository or files into an import. A large import starts only when the user confirms it. */
import type { ImportApi, ModelSource } from '../../contract/import-api.ts';
import { accessToken, urlSource } from '../state/access-token.ts';
import { inspecting, plannedImport, repoListing, runningImport } from '../state/imports.ts';
import { problem } from '../state/notices.ts';
import { showView } from '../state/route.ts';
import { refreshDisk } from './disk-space.ts';
import { listRepo, repoFrom } from './hugging-face.ts';
import type { ModelStore } from './model-store.ts';
import { report } from './problems.ts';
import { sourceUrl } from './source-url.ts';

/** From this size on, the user confirms the import. */
const CONFIRM_FROM_BYTES = 1e9;

/** What planning needs from the rest of the page. */
export interface ImportPlannerDependencies {
  importer: Pick<ImportApi, 'inspect'>;
  store: Pick<ModelStore, 'import'>;
}

/** Inspects what the user wants to import, and asks for confirmation if it is large. */
export class ImportPlanner {
  readonly #importer: ImportPlannerDependencies['importer'];
  readonly #store: ImportPlannerDependencies['store'];

  constructor({ importer, store }: ImportPlannerDependencies) {
    this.#importer = importer;
    this.#store = store;
  }

  /** @param text an address or a repository, as the user typed it */
  async planText(text: string): Promise<void> {
    plannedImport.value = undefined;
    repoListing.value = undefined;
    problem.value = undefined;
    const repo = repoFrom(text);
    if (repo) {
      await this.listRepo(repo);
      return;
    }
    try {
      await this.planUrl(sourceUrl(text));
    } catch (error) {
      report(error);
    }
  }

  /** Shows the files of a Hugging Face repository. */
  async listRepo(name: string): Promise<void> {
    inspecting.value = name;
    try {
      repoListing.value = { name, files: await listRepo(name, accessToken()) };
    } catch (error) {
      report(error);
    } finally {
      inspecting.value = undefined;
    }
  }

  /** Plans the import of the file at an address. */
  planUrl(url: string): Promise<void> {
    return this.#plan(urlSource(url), url.slice(url.lastIndexOf('/') + 1));
  }

  /** Plans the import of files that were chosen or dropped, and shows the models view. */
  planFiles(files: readonly File[]): void {
    showView('models');
    if (files[0]) void this.#plan({ kind: 'file', files: [...files] }, files[0].name);
  }

  /** Starts the import that the user has confirmed. */
  async startPlanned(): Promise<void> {
    const confirmed = plannedImport.value;
    if (!confirmed) return;
    plannedImport.value = undefined;
    repoListing.value = undefined;
    await this.#store.import(confirmed.source, confirmed.name);
    await refreshDisk();
  }

  /** Reads the header. The import of a small file starts at once. */
  async #plan(source: ModelSource, name: string): Promise<void> {
    if (runningImport.value || inspecting.value) return;
    inspecting.value = name;
    plannedImport.value = undefined;
    problem.value = undefined;
    try {
      const [inspection] = await Promise.all([this.#importer.inspect(source), refreshDisk()]);
      plannedImport.value = { source, name, inspection };
    } catch (error) {
      report(error);
    } finally {
      inspecting.value = undefined;
    }
    if (plannedImport.value && plannedImport.value.inspection.fileBytes < CONFIRM_FROM_BYTES) await this.startPlanned();
  }
}
