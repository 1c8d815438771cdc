/** The worker's end of src/contract/site-store.ts: hears of what is lent from its first moment on, whoever asks later. */

import { wrap } from '../../src/contract/rpc.ts';
import { isSiteStoreMessage, type SiteStore } from '../../src/contract/site-store.ts';

type Listener = (siteStore: SiteStore, others: MessagePort[]) => void;

const listeners: Listener[] = [];
let attached: Parameters<Listener> | undefined;

addEventListener('message', ({ data }: MessageEvent<unknown>) => {
  if (!isSiteStoreMessage(data)) return;
  const [port, ...others] = data.mixtabSiteStore;
  attached = [wrap<SiteStore>(port), others];
  for (const take of listeners) take(...attached);
});

/** @param take called with what is lent, and the ports for workers of this worker, once there is something */
export function onSiteStore(take: Listener): void {
  listeners.push(take);
  if (attached) take(...attached);
}
