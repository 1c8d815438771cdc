/** The service worker keeps the page for use without the network; a new version waits until the user wants it. */
import { registerSW } from 'virtual:pwa-register';
import { updateReady } from '../state/state.ts';

export function registerServiceWorker(): void {
  const update = registerSW({
    immediate: true,
    onNeedRefresh: () => {
      updateReady.value = () => void useUpdate(update);
    },
  });
}

/** Lets the new version take over; the page is then loaded anew. */
async function useUpdate(update: (reload: boolean) => Promise<void>): Promise<void> {
  const waiting = (await navigator.serviceWorker.getRegistration())?.waiting;
  if (!waiting) {
    // It took over by itself: nothing else that it could be waiting for was open.
    location.reload();
    return;
  }
  // A page that was open before its first service worker came is controlled by none, and is not told of the change.
  if (!navigator.serviceWorker.controller) {
    waiting.addEventListener('statechange', () => {
      if (waiting.state === 'activated') location.reload();
    });
  }
  await update(true);
}
