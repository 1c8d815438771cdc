/** The client over a backend: the workers of this page, or a fake engine in a test. */
import { MixtabError, throwIfAborted } from '../contract/errors.ts';
import type { UnfinishedImport } from '../contract/import-api.ts';
import { ablationOf } from './ablation.ts';
import { chatShape, completionShape } from './answer-shapes.ts';
import type { Backend } from './backend.ts';
import { chatRequest, completionRequest } from './convert.ts';
import { createMethod } from './create.ts';
import { createEngineAccess, type EngineAccess } from './engine-access.ts';
import { metricsOf, routingOf } from './experts.ts';
import { stopOnAbort } from './queue.ts';
import type { Mixtab, ObserveOptions, RoutingOptions } from './types.ts';

/** Creates a client that calls the workers of a backend directly. */
export function createLocal(backend: Backend): Mixtab {
  const access = createEngineAccess(backend);
  const chat = { toRequest: chatRequest, shapeFor: chatShape };
  const completion = { toRequest: completionRequest, shapeFor: completionShape };
  return {
    models: createModels(backend),
    load: access.load,
    chat: { completions: { create: createMethod(backend, access, chat) } },
    completions: { create: createMethod(backend, access, completion) },
    ...createReading(backend, access),
    async metrics() {
      const report = await backend.engine.experts();
      const model = access.loaded();
      return report && model ? metricsOf(model.summary.id, model.compute.kind, report) : null;
    },
    close: () => backend.close(),
  };
}

/** A client's models, and what embed.html needs besides. */
export interface LocalModels extends Omit<Mixtab['models'], 'import'> {
  /** @param options.embedder origin of the embedding page that imports; default: the user does */
  import(
    source: Parameters<Mixtab['models']['import']>[0],
    options?: Parameters<Mixtab['models']['import']>[1] & { embedder?: string },
  ): ReturnType<Mixtab['models']['import']>;
  /** Imports that can be continued. */
  unfinished(): Promise<UnfinishedImport[]>;
}

/** Stores models through the import worker. */
export function createModels({ importer, callback }: Pick<Backend, 'importer' | 'callback'>): LocalModels {
  let jobs = 0;
  /** Runs an import or a repair that an abort pauses: what is stored stays, unlike with `cancel`. */
  async function pausable<T>(signal: AbortSignal | undefined, job: (name: string) => Promise<T>): Promise<T> {
    throwIfAborted(signal);
    const name = `client ${++jobs}`;
    return stopOnAbort(
      signal,
      () => void importer.pause(name),
      () => job(name),
    );
  }
  return {
    list: () => importer.list(),
    unfinished: () => importer.unfinished(),
    import: (source, { onProgress = () => {}, signal, embedder } = {}) =>
      pausable(signal, (name) =>
        importer.import(source, callback(onProgress), { name, ...(embedder !== undefined && { embedder }) }),
      ),
    remove: (id) => importer.remove(id),
    verify: (id, { onProgress = () => {} } = {}) => importer.verify(id, callback(onProgress)),
    repair: (id, { onProgress = () => {}, signal } = {}) =>
      pausable(signal, (name) => importer.repair(id, callback(onProgress), { name })),
  };
}

/** `routing` and `observe`, which read a text. */
function createReading({ engine, callback }: Backend, access: EngineAccess): Pick<Mixtab, 'routing' | 'observe'> {
  return {
    async routing(text, { model, context, ablation, signal, onProgress = () => {} } = {}) {
      if (typeof text !== 'string') throw noText('routing');
      const change = ablationOf(ablation);
      return access.run({ model, signal }, async ({ summary, context: loaded }) => {
        const input = { kind: 'text' as const, text };
        const request = { input, context: context ?? loaded, trace: true, ...change };
        return routingOf(summary, await engine.score(request, callback(reportTo(onProgress))));
      });
    },
    async observe(
      text,
      { token, model, context, ablation, top, signal, onProgress = () => {} } = {} as ObserveOptions,
    ) {
      if (typeof text !== 'string') throw noText('observe');
      const change = ablationOf(ablation);
      return access.run({ model, signal }, async ({ summary, context: loaded }) => {
        const input = { kind: 'text' as const, text };
        const request = { input, context: context ?? loaded, token, ...(top !== undefined && { top }), ...change };
        const observation = await engine.observe(request, callback(reportTo(onProgress)));
        return { model: summary.id, token, ...observation };
      });
    },
  };
}

const noText = (method: string): MixtabError =>
  new MixtabError('bad-request', `${method} needs a text.`, 'Pass a string.');

/** Reports the engine's progress as an object. */
const reportTo =
  (onProgress: NonNullable<RoutingOptions['onProgress']>) =>
  (tokensDone: number, tokensTotal: number): void =>
    onProgress({ tokensDone, tokensTotal });
