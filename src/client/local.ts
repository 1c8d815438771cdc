/** The client over a backend: the workers of this page, or a fake engine in a test. */
import { MixtabError, throwIfAborted } from '../contract/errors.ts';
import { chatShape, completionShape } from './answer-shapes.ts';
import type { Backend } from './backend.ts';
import { chatRequest, completionRequest } from './convert.ts';
import { createMethod } from './create.ts';
import { createEngineAccess, type EngineAccess } from './engine-access.ts';
import { metricsOf, routingOf } from './experts.ts';
import { stopOnAbort } from './queue.ts';
import type { Mixtab } from './types.ts';

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
    routing: createRouting(backend, access),
    async metrics() {
      const report = await backend.engine.experts();
      const model = access.loaded();
      return report && model ? metricsOf(model.summary.id, model.compute.kind, report) : null;
    },
    close: () => backend.close(),
  };
}

function createModels({ importer, callback }: Backend): Mixtab['models'] {
  let imports = 0;
  return {
    list: () => importer.list(),
    async import(source, { onProgress = () => {}, signal } = {}) {
      throwIfAborted(signal);
      const name = `client ${++imports}`;
      return stopOnAbort(
        signal,
        () => void importer.pause(name),
        () => importer.import(source, callback(onProgress), { name }),
      );
    },
    remove: (id) => importer.remove(id),
    verify: (id, { onProgress = () => {} } = {}) => importer.verify(id, callback(onProgress)),
    async repair(id, { onProgress = () => {}, signal } = {}) {
      throwIfAborted(signal);
      return stopOnAbort(
        signal,
        () => void importer.pause(), // what is stored stays, unlike with `cancel`
        () => importer.repair(id, callback(onProgress)),
      );
    },
  };
}

function createRouting({ engine, callback }: Backend, access: EngineAccess): Mixtab['routing'] {
  return async (text, { model, signal, onProgress = () => {} } = {}) => {
    if (typeof text !== 'string') throw new MixtabError('bad-request', 'routing needs a text.', 'Pass a string.');
    return access.run({ model, signal }, async ({ summary, context }) => {
      const request = { input: { kind: 'text' as const, text }, context, trace: true };
      const reportProgress = (tokensDone: number, tokensTotal: number): void => onProgress({ tokensDone, tokensTotal });
      return routingOf(summary, await engine.score(request, callback(reportProgress)));
    });
  };
}
