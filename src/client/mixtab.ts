/**
 * The client library. `createMixtab({ embedUrl })` runs models in an iframe of the page that `embedUrl` names;
 * `createMixtab({ worker })` over workers of this page (worker-backend.ts).
 */
import { MixtabError } from '../contract/errors.ts';
import type { Backend } from './backend.ts';
import { createLocal } from './local.ts';
import { isModelsChanged, isReady } from './protocol.ts';
import { createRemote } from './remote.ts';
import type { Mixtab } from './types.ts';

export { MixtabError } from '../contract/errors.ts';
export type { ModelSource, ModelSummary } from '../contract/import-api.ts';
export type { Backend } from './backend.ts';
export type * from './types.ts';

export type MixtabOptions =
  | { worker: Backend }
  | {
      /** Address of an `embed.html`. */
      embedUrl: string;
      /** Where the frame goes; it shows what it does. Absent: the frame is hidden. */
      container?: HTMLElement;
      /** The user let the frame at the models of its own site: `models.list` has more now. */
      onModelsChange?: () => void;
    };

/** How long the frame may take to load its script. */
const READY_MS = 30_000;

/** @throws MixtabError `source-unreachable` where no mixtab answers at `embedUrl` */
export async function createMixtab(options: MixtabOptions): Promise<Mixtab> {
  return 'worker' in options
    ? createLocal(options.worker)
    : embedded(new URL(options.embedUrl, document.baseURI), options);
}

function embedded(
  url: URL,
  { container, onModelsChange }: Pick<Extract<MixtabOptions, { embedUrl: string }>, 'container' | 'onModelsChange'>,
): Promise<Mixtab> {
  url.searchParams.set('origin', location.origin);
  const frame = document.createElement('iframe');
  frame.title = 'mixtab';
  frame.src = url.href;
  frame.hidden = container === undefined;
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
          `No mixtab answers at ${url.origin}${url.pathname}.`,
          'Check the address of embed.html.',
        ),
      );
    }, READY_MS);
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
