/** Constructs all services and passes each its dependencies. They share nothing else, so tests construct their own. */
import type { EngineApi } from '../../contract/engine-api.ts';
import type { ImportApi } from '../../contract/import-api.ts';
import { Answers } from './answers.ts';
import { ContextOverflow } from './context-overflow.ts';
import { EngineRuns } from './engine-runs.ts';
import { Experiments } from './experiments.ts';
import { ImportPlanner } from './import-planner.ts';
import { ModelLoader } from './model-loader.ts';
import { ModelStore } from './model-store.ts';
import { report } from './problems.ts';
import { Sessions } from './sessions.ts';
import { StorageKeeper } from './storage-keeper.ts';
import { Tabs } from './tabs.ts';

/** All services of the page that are classes. */
export interface Services {
  answers: Answers;
  contextOverflow: ContextOverflow;
  experiments: Experiments;
  importPlanner: ImportPlanner;
  modelLoader: ModelLoader;
  modelStore: ModelStore;
  runs: EngineRuns;
  sessions: Sessions;
  storageKeeper: StorageKeeper;
  tabs: Tabs;
}

/** Constructs the services over the two workers, or over stand-ins in a test. */
export function createServices({
  engine,
  importer,
  restartEngine,
}: {
  engine: EngineApi;
  importer: ImportApi;
  restartEngine: () => void;
}): Services {
  const tabs = new Tabs();
  const runs = new EngineRuns(engine);
  const sessions = new Sessions({ engine, importer });
  const modelLoader = new ModelLoader({ engine, restartEngine, runs, sessions, tabs });
  const experiments = new Experiments({ runs, sessions, loader: modelLoader });
  const answers = new Answers({ engine, runs, sessions, loader: modelLoader });
  const modelStore = new ModelStore({ importer, loader: modelLoader, sessions, tabs });
  const storageKeeper = new StorageKeeper({ sessions, onRestored: () => void modelStore.refresh().catch(report) });
  const importPlanner = new ImportPlanner({ importer, store: modelStore });
  const contextOverflow = new ContextOverflow({ engine, answers, loader: modelLoader });
  return {
    answers,
    contextOverflow,
    experiments,
    importPlanner,
    modelLoader,
    modelStore,
    runs,
    sessions,
    storageKeeper,
    tabs,
  };
}
