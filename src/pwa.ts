/** The service worker keeps the page for use without the network; a new version waits until the user wants it. */
import { registerSW } from 'virtual:pwa-register';
import { updateReady } from './app/state.ts';

export function registerServiceWorker(): void {
  const update = registerSW({
    immediate: true,
    onNeedRefresh: () => {
      updateReady.value = () => void update(true);
    },
  });
}
