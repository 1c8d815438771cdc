/** Runs the page's workers in a headless Chromium. */
import { basename, join } from 'node:path';
import type { BrowserContext, Page } from 'playwright';
import type { Answer, CliPage } from '../../src/cli/page.ts';
import type {
  ComputeKind,
  GenerateRequest,
  GenerateResult,
  LoadedModel,
  LoadRequest,
  ScoreRequest,
} from '../../src/contract/engine-api.ts';
import { errorFromData } from '../../src/contract/errors.ts';
import type { ImportProgress, ModelSource } from '../../src/contract/import-api.ts';
import { ensureBuild } from '../build.mjs';
import { ROOT } from '../dependencies.mjs';
import { partPaths } from './part-paths.ts';
import { withProfile } from './profile.ts';
import { fileRanged, type Ranged, serve } from './server.ts';

/** The value of --model. */
export type ModelArgument = { kind: 'builtin' } | { kind: 'url'; url: string } | { kind: 'file'; path: string };

/** A running Chromium with `cli.html` open. */
export interface CliBrowser {
  /**
   * Calls a method of the page.
   * @throws MixtabError the error that the workers threw
   */
  call<Name extends keyof CliPage>(name: Name, ...args: Parameters<CliPage[Name]>): Promise<ResultOf<Name>>;
  origin: string;
  page: Page;
  context: BrowserContext;
}

type ResultOf<Name extends keyof CliPage> = Awaited<ReturnType<CliPage[Name]>> extends Answer<infer T> ? T : never;

/** Options of {@link withBrowser}. */
export interface BrowserOptions {
  /** Resources by path, served by byte ranges beside the page. */
  ranged?: Record<string, Ranged>;
  /** Folder of a profile to keep. Its models belong to the origin with `port`. Default: a temporary profile. */
  profile?: string;
  port?: number;
  onText?: (text: string) => void;
  onImport?: (progress: ImportProgress) => void;
  onScore?: (done: number, total: number) => void;
}

/** Serves the build, opens it in Chromium, and closes both after `work`. */
export async function withBrowser<T>(options: BrowserOptions, work: (browser: CliBrowser) => Promise<T>): Promise<T> {
  ensureBuild({ quiet: true });
  const server = await serve(join(ROOT, 'dist'), options.ranged ?? {}, options.port);
  try {
    return await withProfile(options.profile, async (page) => {
      if (options.onText) await page.exposeFunction('mixtabOnText', options.onText);
      if (options.onImport) await page.exposeFunction('mixtabOnImport', options.onImport);
      if (options.onScore) await page.exposeFunction('mixtabOnScore', options.onScore);
      await page.goto(`${server.origin}/cli.html`);
      await page.waitForFunction(() => 'mixtab' in window);
      return await work({
        call: (name, ...args) => callPage(page, name, args),
        origin: server.origin,
        page,
        context: page.context(),
      });
    });
  } finally {
    server.close();
  }
}

async function callPage<Name extends keyof CliPage>(
  page: Page,
  name: Name,
  args: Parameters<CliPage[Name]>,
): Promise<ResultOf<Name>> {
  const answer = (await page.evaluate(
    ([method, parameters]) => (window.mixtab[method] as (...all: unknown[]) => Promise<Answer<unknown>>)(...parameters),
    [name, args as unknown[]] as const,
  )) as Answer<ResultOf<Name>>;
  if ('error' in answer) throw errorFromData(answer.error);
  return answer.result;
}

/** Returns the files to serve for a model, and the source that the page imports it from. */
export function modelSource(model: ModelArgument): {
  ranged: Record<string, Ranged>;
  source: (origin: string) => ModelSource;
} {
  if (model.kind === 'url') return { ranged: {}, source: () => ({ kind: 'url', url: model.url }) };
  if (model.kind === 'builtin')
    return { ranged: {}, source: (origin) => ({ kind: 'builtin', url: `${origin}/models/builtin.gguf` }) };
  return {
    ranged: Object.fromEntries(partPaths(model.path).map((path) => [`/model/${basename(path)}`, fileRanged(path)])),
    source: (origin) => ({ kind: 'url', url: `${origin}/model/${encodeURIComponent(basename(model.path))}` }),
  };
}

/** What computed, as all commands that run a model report it. */
export interface ComputedBy {
  compute: ComputeKind;
  /** Empty if there is no adapter. */
  adapter: { vendor: string; architecture: string; features: string[] };
}

function computedBy({ compute, adapter }: LoadedModel): ComputedBy {
  const { vendor = '', architecture = '', features = [] } = adapter ?? {};
  return { compute: compute.kind, adapter: { vendor, architecture, features } };
}

/** Imports and loads a model in a new browser and scores a text. */
export function scoreInBrowser(
  model: ModelArgument,
  load: Omit<LoadRequest, 'modelId'>,
  request: ScoreRequest,
  onScore?: (done: number, total: number) => void,
): Promise<ResultOf<'score'> & ComputedBy> {
  const { ranged, source } = modelSource(model);
  return withBrowser({ ranged, ...(onScore && { onScore }) }, async ({ call, origin }) => {
    await call('probe', load.compute);
    const { id } = await call('import', source(origin));
    const loaded = await call('load', { ...load, modelId: id });
    return { ...(await call('score', request)), ...computedBy(loaded) };
  });
}

/** The output of `generate --json`. */
export interface CliResult extends Omit<GenerateResult, 'timings'>, ComputedBy {
  timings: { importMs: number; loadMs: number } & GenerateResult['timings'];
}

/**
 * Imports and loads a model in a new browser and generates text.
 * @param onText receives the text of each token
 */
export function generateInBrowser(
  model: ModelArgument,
  load: Omit<LoadRequest, 'modelId'>,
  generate: GenerateRequest,
  onText?: (text: string) => void,
): Promise<CliResult> {
  const { ranged, source } = modelSource(model);
  return withBrowser({ ranged, ...(onText && { onText }) }, async ({ call, origin }) => {
    await call('probe', load.compute);
    const started = performance.now();
    const { id } = await call('import', source(origin));
    const importMs = performance.now() - started;
    const loaded = await call('load', { ...load, modelId: id });
    const result = await call('generate', generate);
    return {
      ...result,
      timings: { importMs, loadMs: loaded.loadMs, ...result.timings },
      ...computedBy(loaded),
    };
  });
}
