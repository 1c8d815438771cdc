/** This page's own workers as the client's engine. */
import { proxy } from '../contract/rpc.ts';
import { createEngineClient, createImportClient } from '../engine-client.ts';
import type { Backend } from './local.ts';

export function workerBackend(): Backend {
  const engine = createEngineClient();
  const importer = createImportClient();
  return {
    engine: engine.api as unknown as Backend['engine'],
    importer: importer.api as unknown as Backend['importer'],
    callback: proxy,
    close() {
      engine.terminate();
      importer.terminate();
    },
  };
}
