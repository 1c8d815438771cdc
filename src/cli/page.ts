/**
 * The page that the command line and the benchmarks open in Chromium. It offers the workers' methods as
 * `window.mixtab`.
 */
import { connectForHandOver, createEngineClient, createImportClient } from '../connect/worker-clients.ts';
import type {
  GenerateRequest,
  GenerateResult,
  LoadedModel,
  LoadRequest,
  ScoreRequest,
  ScoreResult,
} from '../contract/engine-api.ts';
import { type ErrorData, errorFromData, errorToData } from '../contract/errors.ts';
import type { ImportOptions, ImportProgress, ModelSource, ModelSummary } from '../contract/import-api.ts';
import { proxy } from '../contract/rpc.ts';

/** A result or an error as plain data. Playwright would pass a thrown error on without its code. */
export type Answer<T> = { result: T } | { error: ErrorData };

/** The methods of `window.mixtab`, called from Node through Playwright. */
export interface CliPage {
  /** Answers with an error if the requested backend cannot compute. Called first, because an import is useless then. */
  probe(compute?: LoadRequest['compute']): Promise<Answer<void>>;
  import(source: ModelSource, options?: ImportOptions): Promise<Answer<ModelSummary>>;
  load(request: LoadRequest): Promise<Answer<LoadedModel>>;
  generate(request: GenerateRequest): Promise<Answer<GenerateResult>>;
  readRate(modelId: string, bytes: number): Promise<Answer<number>>;
  /** The trace is an array of numbers, because Playwright cannot pass on typed arrays. */
  score(request: ScoreRequest): Promise<Answer<Omit<ScoreResult, 'trace'> & { trace?: number[] }>>;
}

declare global {
  interface Window {
    /** Set by the command line: receives the text of each token. */
    mixtabOnText?: (text: string) => void;
    /** Set by the command line: receives the progress of an import. */
    mixtabOnImport?: (progress: ImportProgress) => void;
    /** Set by the command line: receives the number of tokens scored so far. */
    mixtabOnScore?: (done: number, total: number) => void;
    mixtab: CliPage;
  }
}

const engineClient = createEngineClient();
const importClient = createImportClient();
connectForHandOver(importClient, engineClient);
const engine = engineClient.api;
const importer = importClient.api;

async function answer<T>(work: () => Promise<T>): Promise<Answer<T>> {
  try {
    return { result: await work() };
  } catch (error) {
    return { error: errorToData(error) };
  }
}

/** Joins why the GPU and why the CPU cannot compute. */
function bothErrors(gpu: ErrorData | undefined, cpu: ErrorData | undefined): ErrorData {
  if (gpu && cpu) return { code: gpu.code, message: `${gpu.message} ${cpu.message}`, remedy: gpu.remedy };
  return (gpu ?? cpu)!;
}

window.mixtab = {
  probe: (compute = 'auto') =>
    answer(async () => {
      const { automatic, gpuError, cpuError } = await engine.probe();
      if (compute === 'gpu' && gpuError) throw errorFromData(gpuError);
      if (compute === 'cpu' && cpuError) throw errorFromData(cpuError);
      if (!automatic) throw errorFromData(bothErrors(gpuError, cpuError));
    }),
  import: (source, options) =>
    answer(() =>
      importer.import(
        source,
        proxy((progress) => window.mixtabOnImport?.(progress)),
        options,
      ),
    ),
  load: (request) =>
    answer(() =>
      engine.load(
        request,
        proxy(() => {}),
      ),
    ),
  generate: (request) =>
    answer(() =>
      engine.generate(
        request,
        proxy((event) => {
          if (event.type === 'token') window.mixtabOnText?.(event.token.text);
        }),
      ),
    ),
  readRate: (modelId, bytes) => answer(() => engine.readRate(modelId, bytes)),
  score: (request) =>
    answer(async () => {
      const { trace, ...result } = await engine.score(
        request,
        proxy((done, total) => window.mixtabOnScore?.(done, total)),
      );
      return { ...result, ...(trace && { trace: [...trace.selectedExperts] }) };
    }),
};
