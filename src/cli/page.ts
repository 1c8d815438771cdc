/** The page that the command line opens in a headless Chromium: import, load and generate in one call. */
import type { GenerateRequest, GenerateResult, LoadRequest, ModelSource } from '../contract/engine-api.ts';
import { type ErrorData, errorToData } from '../contract/errors.ts';
import { proxy } from '../contract/rpc.ts';
import { createEngineClient, createImportClient } from '../engine-client.ts';

export interface CliRequest {
  source: ModelSource;
  load: Omit<LoadRequest, 'modelId'>;
  generate: GenerateRequest;
}

/** What `generate --json` prints. */
export interface CliResult extends Omit<GenerateResult, 'timings'> {
  timings: GenerateResult['timings'] & { importMs: number; loadMs: number };
  adapter: { vendor: string; architecture: string; features: string[] };
}

declare global {
  interface Window {
    /** Set by the command line: the text of each token as it comes. */
    mixtabOnText?: (text: string) => void;
    mixtabGenerate: (request: CliRequest) => Promise<{ result: CliResult } | { error: ErrorData }>;
  }
}

window.mixtabGenerate = async (request) => {
  try {
    return { result: await run(request) };
  } catch (error) {
    return { error: errorToData(error) };
  }
};

async function run({ source, load, generate }: CliRequest): Promise<CliResult> {
  const engine = createEngineClient().api;
  await engine.probe(); // without a GPU adapter there is no point in importing
  const started = performance.now();
  const { id } = await createImportClient().api.import(source, proxy(() => {}));
  const importMs = performance.now() - started;
  const loaded = await engine.load({ ...load, modelId: id }, proxy(() => {}));
  const result = await engine.generate(
    generate,
    proxy((event) => {
      if (event.type === 'token') window.mixtabOnText?.(event.token.text);
    }),
  );
  const { vendor, architecture, features } = loaded.adapter;
  return {
    ...result,
    timings: { importMs, loadMs: loaded.loadMs, ...result.timings },
    adapter: { vendor, architecture, features },
  };
}
