/**
 * Runs Mixtral-architecture models in the visitor's browser, with requests and answers in OpenAI's shape. Start with
 * {@link createMixtab}.
 * @module mixtab-client
 */
import { MixtabError } from '../contract/errors.ts';
import type { Backend } from './backend.ts';
import { createLocal } from './local.ts';
import { isModelsChanged, isReady } from './protocol.ts';
import { createRemote } from './remote.ts';
import type { Mixtab } from './types.ts';

export type {
  AdapterReport,
  CacheReport,
  ChatMessage,
  ComputeKind,
  ComputeReport,
  LayerRouting,
  LoadedModel,
  LoadProgress,
  LoadRequest,
} from '../contract/engine-api.ts';
export { type ErrorCode, MixtabError } from '../contract/errors.ts';
export type {
  ImportProgress,
  ModelConfig,
  ModelFigures,
  ModelSource,
  ModelSummary,
} from '../contract/import-api.ts';
export type { Backend } from './backend.ts';
export type * from './types.ts';

/** Options for a client whose engine runs in an iframe of a mixtab page. */
export interface EmbedOptions {
  /** Address of the mixtab page's `embed.html`. A relative address is resolved against the document. */
  embedUrl: string;
  /** Element to put the frame into, so that the user sees its status. Default: the frame is hidden. */
  container?: HTMLElement;
  /** Called when the user has let the frame read the models of the mixtab site: `models.list` then includes them. */
  onModelsChange?: () => void;
}

/** Options for a client whose engine runs in workers of the same page. */
export interface WorkerOptions {
  /** The two workers. Inside this repository, `workerBackend()` of src/client/worker-backend.ts creates them. */
  worker: Backend;
}

/** Options of {@link createMixtab}. */
export type MixtabOptions = EmbedOptions | WorkerOptions;

/** Time for the frame to load its script. */
const READY_TIMEOUT_MS = 30_000;

/**
 * Connects to an engine. This loads no model.
 *
 * @example
 * ```js
 * import { createMixtab } from 'mixtab-client';
 *
 * const mixtab = await createMixtab({ embedUrl: 'https://host/mixtab/embed.html', container: document.body });
 * ```
 * @throws MixtabError `source-unreachable` if no mixtab page answers at `embedUrl` within 30 seconds
 */
export async function createMixtab(options: MixtabOptions): Promise<Mixtab> {
  return 'worker' in options ? createLocal(options.worker) : createEmbedded(options);
}

function createEmbedded({ embedUrl, container, onModelsChange }: EmbedOptions): Promise<Mixtab> {
  const url = new URL(embedUrl, document.baseURI);
  url.searchParams.set('origin', location.origin);
  const frame = document.createElement('iframe');
  frame.title = 'mixtab';
  frame.src = url.href;
  frame.hidden = container === undefined;
  frame.allow = 'cross-origin-isolated'; // an isolated page lets the frame share memory
  return new Promise((resolve, reject) => {
    const { client, receive } = createRemote(
      (request) => frame.contentWindow?.postMessage(request, url.origin),
      () => {
        removeEventListener('message', onMessage);
        frame.remove();
      },
    );
    const timer = setTimeout(() => {
      client.close();
      reject(
        new MixtabError(
          'source-unreachable',
          `No mixtab page answered at ${url.origin}${url.pathname}.`,
          'Check the address of embed.html.',
        ),
      );
    }, READY_TIMEOUT_MS);
    const onMessage = ({ source, origin, data }: MessageEvent): void => {
      if (source !== frame.contentWindow || origin !== url.origin) return;
      if (isReady(data)) {
        clearTimeout(timer);
        resolve(client);
      } else if (isModelsChanged(data)) onModelsChange?.();
      else receive(data);
    };
    addEventListener('message', onMessage);
    (container ?? document.body).append(frame);
  });
}
