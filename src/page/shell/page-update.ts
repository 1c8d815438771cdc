/** The service worker makes the page work offline. A new version waits until the user accepts it. */
import { registerSW } from 'virtual:pwa-register';
import { busyWith } from '../state/busy.ts';
import { updateReady } from '../state/notices.ts';

/** Registers the service worker. Sets `updateReady` once a new version waits. */
export function registerServiceWorker(): void {
  const update = registerSW({
    immediate: true,
    onNeedRefresh: () => {
      updateReady.value = () => void useUpdate(update);
    },
    onNeedReload: reloadOrOffer,
  });
}

/**
 * The new version has taken over, because the user accepted it in this tab or in another one. Work that a reload would
 * cut off is not ended: the user reloads when it is done.
 */
function reloadOrOffer(): void {
  if (busyWith.value === undefined) location.reload();
  else updateReady.value = () => location.reload();
}

/** Lets the new version take over and reloads the page. */
async function useUpdate(update: (reload: boolean) => Promise<void>): Promise<void> {
  const waiting = (await navigator.serviceWorker.getRegistration())?.waiting;
  if (!waiting) {
    // The new version already took over, because no other page was open that it had to wait for.
    location.reload();
    return;
  }
  // A page that was opened before its first service worker has no controller, so it gets no event about the change.
  if (!navigator.serviceWorker.controller) {
    waiting.addEventListener('statechange', () => {
      if (waiting.state === 'activated') location.reload();
    });
  }
  await update(true);
}
