/** The page's two workers, started with the page. */
import { createEngineClient, createImportClient } from '../../connect/worker-clients.ts';

export const importer = createImportClient().api;
export const engine = createEngineClient().api;
