/** The page's two workers, started with the page. */
import { createEngineClient, createImportClient } from '../engine-client.ts';

export const importer = createImportClient().api;
export const engine = createEngineClient().api;
