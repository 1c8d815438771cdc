/**
 * Runs Mixtral-architecture models in the visitor's browser, with requests and answers in OpenAI's shape. Start with
 * {@link createMixtab}.
 * @module mixtab-client
 */
import { aborted, MixtabError } from '../contract/errors.ts';
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
  Observation,
  ObservedLayer,
  TokenLogprob,
} from '../contract/engine-api.ts';
export { type ErrorCode, MixtabError } from '../contract/errors.ts';
export type { TokenId } from '../contract/ids.ts';
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
/** Time from the frame's `load` event, before which its script has run, to the arrival of its message. */
const LOADED_TIMEOUT_MS = 3000;

/**
 * Connects to an engine. This loads no model.
 *
 * @example
 * ```js
 * import { createMixtab } from 'mixtab-client';
 *
 * const mixtab = await createMixtab({ embedUrl: 'https://host/mixtab/embed.html', container: document.body });
 * ```
 * @throws MixtabError `source-unreachable` if no mixtab page answers at `embedUrl`, or this page may not frame it;
 *   `bad-request` if this page has no origin, as in a sandboxed frame
 */
export async function createMixtab(options: MixtabOptions): Promise<Mixtab> {
  return 'worker' in options ? createLocal(options.worker) : createEmbedded(options);
}

function createEmbedded({ embedUrl, container, onModelsChange }: EmbedOptions): Promise<Mixtab> {
  // A page of a sandboxed frame has an address, but no origin that messages could be sent to.
  if (self.origin === 'null') return Promise.reject(noOrigin());
  const url = new URL(embedUrl, document.baseURI);
  url.searchParams.set('origin', self.origin);
  const frame = document.createElement('iframe');
  frame.title = 'mixtab';
  frame.src = url.href;
  frame.hidden = container === undefined;
  frame.allow = 'cross-origin-isolated'; // an isolated page lets the frame share memory
  return new Promise((resolve, reject) => {
    const { client, receive, restarted } = createRemote(
      (request) => {
        if (!frame.contentWindow) throw aborted('The frame was removed from the page.');
        frame.contentWindow.postMessage(request, url.origin);
      },
      () => {
        removeEventListener('message', onMessage);
        frame.remove();
      },
    );
    const giveUp = (): void => {
      client.close();
      reject(noAnswer(url));
    };
    let timer = setTimeout(giveUp, READY_TIMEOUT_MS);
    let isReadyNow = false;
    // A frame that the browser blocks also loads: an empty page or a message of the browser.
    const onLoad = (): void => {
      clearTimeout(timer);
      if (!isReadyNow) timer = setTimeout(giveUp, LOADED_TIMEOUT_MS);
    };
    frame.addEventListener('load', onLoad, { once: true });
    const onMessage = ({ source, origin, data }: MessageEvent): void => {
      if (source !== frame.contentWindow || origin !== url.origin) return;
      if (isReady(data)) {
        clearTimeout(timer);
        if (isReadyNow) restarted();
        isReadyNow = true;
        resolve(client);
      } else if (isModelsChanged(data)) onModelsChange?.();
      else receive(data);
    };
    addEventListener('message', onMessage);
    (container ?? document.body).append(frame);
  });
}

const noOrigin = (): MixtabError =>
  new MixtabError(
    'bad-request',
    'This page has no origin, because it is in a sandboxed frame, so the frame with the model cannot answer it.',
    'Add allow-same-origin to the sandbox attribute, or use the page outside of the sandbox.',
  );

function noAnswer({ origin, pathname }: URL): MixtabError {
  const address = `${origin}${pathname}`;
  const headers = 'Cross-Origin-Embedder-Policy: require-corp and Cross-Origin-Resource-Policy: cross-origin';
  return crossOriginIsolated
    ? new MixtabError(
        'source-unreachable',
        `No mixtab page answered at ${address}. This page is isolated, so the browser loads only frames that allow it.`,
        `Check the address, and let its server send ${headers}.`,
      )
    : new MixtabError(
        'source-unreachable',
        `No mixtab page answered at ${address}.`,
        `Check the address of embed.html. If this page sends a Cross-Origin-Embedder-Policy, embed.html needs ${headers}.`,
      );
}
