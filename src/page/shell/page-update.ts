/** The service worker makes the page work offline. A new version waits until the user accepts it. */
import { holdRequests } from '../../contract/request-lock.ts';
import { busyWith } from '../state/busy.ts';
import { updateReady } from '../state/notices.ts';
import { UpdateWatch } from './update-watch.ts';

/**
 * Follows updates of the page from now on.
 * @returns a function that registers the service worker; without one it does nothing
 */
export function watchUpdates(): () => void {
  const { serviceWorker } = navigator as Partial<Navigator>; // absent over plain http
  if (!serviceWorker || !import.meta.env.PROD) return () => {};
  const watch = new UpdateWatch(serviceWorker, {
    offer: (state) => {
      updateReady.value = { state, use: () => void watch.accept() };
    },
    holdRequests,
    isBusy: () => busyWith.value !== undefined,
    reload: () => location.reload(),
  });
  return () => {
    // If it cannot be registered, the page works all the same, but not offline.
    serviceWorker.register('./sw.js', { scope: './' }).then(
      (registration) => watch.follow(registration),
      () => {},
    );
  };
}
