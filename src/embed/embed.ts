/**
 * The page that other pages embed. It answers only its parent window, and only with the origin that its address names.
 */
import { createHost } from '../client/host.ts';
import { createLocal, createModels } from '../client/local.ts';
import { type ModelsChanged, originFrom, PROTOCOL, type Ready } from '../client/protocol.ts';
import { workerBackend } from '../client/worker-backend.ts';
import { LoadedLock, TABS_CHANNEL } from '../contract/loaded-lock.ts';
import { MODEL_PREFIX, type SiteStore } from '../contract/site-store.ts';
import { freeBytes } from './frame-store.ts';
import { guardLoads } from './load-guard.ts';
import { guardModels } from './model-guard.ts';
import { askUser } from './question.ts';
import { offerSiteModels } from './storage-access.ts';

const origin = originFrom(location.search);

function showStatus(text: string): void {
  const status = document.getElementById('status');
  if (status) status.textContent = text;
}

if (parent === window) {
  showStatus('This page is for embedding in other pages. The link above opens the app itself.');
} else if (!origin) {
  showStatus('The embedding page must name its origin: embed.html?origin=https://…');
} else {
  showStatus(`mixtab works here for ${origin}.`);
  const backend = workerBackend();
  const locks = new LoadedLock(crypto.randomUUID());
  const tabs = new BroadcastChannel(TABS_CHANNEL);
  const neighbours = {
    mayLoad: guardLoads({ list: () => backend.importer.list(), locks, confirm: askUser }),
    uses: (id: string | undefined) => void locks.hold(id).then(() => tabs.postMessage('changed')),
  };
  const client = createLocal({ ...backend, neighbours });
  let siteStore: SiteStore | undefined;
  const models = guardModels(createModels(backend), {
    embedder: origin,
    siteModels: async () => ((await siteStore?.models()) ?? []).map(([key]) => key.slice(MODEL_PREFIX.length)),
    isInUse: async (id) => (await locks.others()).some(({ modelId }) => modelId === id),
    confirm: askUser,
    freeBytes,
  });
  const receive = createHost({ ...client, models }, (reply) => parent.postMessage(reply, origin));
  addEventListener('message', ({ source, origin: sender, data }) => {
    if (source === parent && sender === origin) receive(data);
  });
  parent.postMessage({ mixtab: PROTOCOL, ready: true } satisfies Ready, origin);
  offerSiteModels(origin, (allowed: SiteStore) => {
    siteStore = allowed;
    backend.attachSiteStore(allowed);
    parent.postMessage({ mixtab: PROTOCOL, changed: 'models' } satisfies ModelsChanged, origin);
  });
}
