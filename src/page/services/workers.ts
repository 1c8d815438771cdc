/** Starts the page's two workers. Only services may import this module; tests pass their own objects instead. */
import { connectForHandOver, createEngineClient, createImportClient } from '../../connect/worker-clients.ts';
import type { EngineApi } from '../../contract/engine-api.ts';
import type { ImportApi } from '../../contract/import-api.ts';
import { report } from './problems.ts';

const importClient = createImportClient();
export const importer: ImportApi = importClient.api;
// The model is lost with its worker, whether it was computing or not.
const engineClient = createEngineClient(report);
export const engine: EngineApi = engineClient.api;
connectForHandOver(importClient, engineClient);
/** Ends the engine's worker, whatever it does; the next call starts another one, without a model. */
export const restartEngine: () => void = engineClient.restart;
