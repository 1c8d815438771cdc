/**
 * An engine whose code is fetched after the page has learned what computes here, so that it arrives while the page
 * finds, or imports, the model that it will load.
 */
import type { EngineApi, ProbeReport } from '../../src/contract/engine-api.ts';
import { fetchCode } from '../../src/contract/fetch-code.ts';
import { probe } from './probe.ts';

/**
 * Returns an engine whose code is fetched after the first probe, or on the first call that needs it.
 * @param create fetches the code and creates the engine, perhaps also the code of what will compute according to the
 *   probe; if it fails, the next call tries again
 * @param find finds out what computes here
 */
export function lazyEngine(create: (report?: ProbeReport) => Promise<EngineApi>, find = probe): EngineApi {
  let engine: Promise<EngineApi> | undefined;
  const get = (report?: ProbeReport): Promise<EngineApi> => {
    if (engine) return engine;
    const attempt = fetchCode('computes the model', () => create(report));
    engine = attempt;
    attempt.catch(() => {
      if (engine === attempt) engine = undefined;
    });
    return engine;
  };
  // Calls reach the engine in order because each of them waits for the same promise first.
  return {
    probe: async () => {
      const report = await find();
      get(report).catch(() => {}); // the call that needs it reports the error
      return report;
    },
    load: async (...args) => (await get()).load(...args),
    unload: async () => (await get()).unload(),
    generate: async (...args) => (await get()).generate(...args),
    readRate: (modelId, bytes) => get().then((engine) => engine.readRate(modelId, bytes)),
    score: async (...args) => (await get()).score(...args),
    observe: async (...args) => (await get()).observe(...args),
    // Without an engine no model is loaded, so there is no reason to fetch it.
    experts: async () => (engine ? (await engine).experts() : undefined),
    stop: async () => (await get()).stop(),
    saveSession: async (...args) => (await get()).saveSession(...args),
    restoreSession: async (...args) => (await get()).restoreSession(...args),
    tokenize: async (...args) => (await get()).tokenize(...args),
    pieces: async (...args) => (await get()).pieces(...args),
  };
}
