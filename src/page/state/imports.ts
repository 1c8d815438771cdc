/**
 * Models that are being imported, as signals. Changed by the services `import-planner.ts` (before an import starts)
 * and `model-store.ts` (from then on); features only dismiss `plannedImport` and `importedModel`.
 */
import { signal } from '@preact/signals';
import type {
  ImportProgress,
  ModelInspection,
  ModelSource,
  ModelSummary,
  UnfinishedImport,
} from '../../contract/import-api.ts';
import type { Rate } from './transfer-rate.ts';

/** A GGUF file of a Hugging Face repository. A split file counts as one, named by its first part. */
export interface RepoFile {
  path: string;
  bytes: number;
  url: string;
}

/** A large file whose header was read. The import starts when the user confirms it. */
export interface PlannedImport {
  source: ModelSource;
  name: string;
  inspection: ModelInspection;
}

/** An import, or the verification or repair of a stored model. One runs at a time. */
export interface RunningImport {
  kind: 'import' | 'verify' | 'repair';
  name: string;
  progress: ImportProgress | undefined;
  rate: Rate;
}

/** Name of the file or repository whose header or listing is being read. */
export const inspecting = signal<string | undefined>(undefined);
/** The import that waits for confirmation. */
export const plannedImport = signal<PlannedImport | undefined>(undefined);
/** The files of the repository that the user named, to choose from. */
export const repoListing = signal<{ name: string; files: RepoFile[] } | undefined>(undefined);
/** The import, verification or repair that is running. */
export const runningImport = signal<RunningImport | undefined>(undefined);
/** Imports that were paused or interrupted and can be resumed. */
export const unfinished = signal<UnfinishedImport[]>([]);
/** A model whose import ended while the user was in a conversation with another one: offered in a notice. */
export const importedModel = signal<ModelSummary | undefined>(undefined);
