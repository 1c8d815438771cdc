/** The page that other pages embed: answers the one origin that its address names. */
import { createHost } from '../client/host.ts';
import { createLocal } from '../client/local.ts';
import { type ModelsChanged, originFrom, PROTOCOL, type Ready } from '../client/protocol.ts';
import { workerBackend } from '../client/worker-backend.ts';
import type { SiteStore } from '../contract/site-store.ts';
import { offerSiteModels } from './storage-access.ts';

const origin = originFrom(location.search);

function say(text: string): void {
  const status = document.getElementById('status');
  if (status) status.textContent = text;
}

if (parent === window) {
  say('This page is made to be embedded in another one. The app itself is at the start page.');
} else if (!origin) {
  say('The embedding page must name its origin: embed.html?origin=https://…');
} else {
  say(`mixtab works here for ${origin}.`);
  const backend = workerBackend();
  const receive = createHost(createLocal(backend), (reply) => parent.postMessage(reply, origin));
  addEventListener('message', ({ source, origin: from, data }) => {
    if (source === parent && from === origin) receive(data);
  });
  parent.postMessage({ mixtab: PROTOCOL, ready: true } satisfies Ready, origin);
  offerSiteModels(origin, (siteStore: SiteStore) => {
    backend.attachSiteStore(siteStore);
    parent.postMessage({ mixtab: PROTOCOL, changed: 'models' } satisfies ModelsChanged, origin);
  });
}
