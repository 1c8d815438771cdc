/**
 * Notices new versions of the page, and changes to them when the user wants that. Everything here may happen at any
 * time: another tab accepts the new version, the browser activates it by itself or not for a while, or a still newer
 * one takes its place.
 */
import type { PageUpdate } from '../state/notices.ts';

/** What the watch needs from the page. */
export interface UpdatePage {
  /** Offers the new version, or says how far the change to it is. */
  offer(state: PageUpdate['state']): void;
  /** Holds back the requests of imports in all tabs. @returns a function that lets them go */
  holdRequests(): Promise<() => void>;
  /** Whether a reload would cut off work. */
  isBusy(): boolean;
  reload(): void;
}

/** How often the page looks whether the new version has taken over, in milliseconds. */
const LOOK_EVERY_MS = 2000;
/**
 * After how many looks the page says that it takes longer. Until then it asks the new version to take over at each, in
 * case that the browser has lost a message. Later it only looks, because Chromium ignores all questions but the first.
 */
const LOOKS = 5;
/** After how many looks imports may send requests again: the change takes less than a second, or minutes. */
const HELD_LOOKS = 2;

/** Follows the service worker of the page. */
export class UpdateWatch {
  readonly #container: ServiceWorkerContainer;
  readonly #page: UpdatePage;
  /** The version that this page was loaded with; null on the first visit. */
  readonly #own: ServiceWorker | null;
  #registration: ServiceWorkerRegistration | undefined;
  readonly #watched = new WeakSet<ServiceWorker>();
  /** The user waits for the new version. */
  #isAccepted = false;
  #isReloading = false;

  constructor(container: ServiceWorkerContainer, page: UpdatePage) {
    this.#container = container;
    this.#page = page;
    this.#own = container.controller;
    container.addEventListener('controllerchange', () => this.#checkController());
  }

  /** Notices the new versions of a registration, those included that were found before. */
  follow(registration: ServiceWorkerRegistration): void {
    this.#registration = registration;
    registration.addEventListener('updatefound', () => this.#watch(registration.installing));
    this.#watch(registration.installing);
    this.#watch(registration.waiting);
    this.#checkController();
  }

  /** A page without a version of its own has no controller yet, and a first one is no update. */
  #checkController(): void {
    const { controller } = this.#container;
    if (this.#own && controller && controller !== this.#own) this.#tookOver();
  }

  #watch(worker: ServiceWorker | null): void {
    const before = this.#registration?.active;
    if (!worker || !before || worker === before || this.#watched.has(worker)) return;
    this.#watched.add(worker);
    const check = (): void => {
      if (worker.state === 'installed') this.#offer();
      // A page without a controller gets no event about the change of it.
      if (worker.state === 'activated' && this.#isAccepted) this.#tookOver();
    };
    worker.addEventListener('statechange', check);
    check();
  }

  #offer(): void {
    if (!this.#isAccepted) this.#page.offer('ready');
  }

  /**
   * The new version has taken over, because the user accepted it in this tab or in another one. Work that a reload would
   * cut off is not ended: the user reloads when it is done.
   */
  #tookOver(): void {
    if (!this.#page.isBusy()) this.#reload();
    else {
      this.#isAccepted = false;
      this.#page.offer('ready');
    }
  }

  #reload(): void {
    if (this.#isReloading) return;
    this.#isReloading = true;
    this.#page.reload();
  }

  /**
   * Lets the new version take over, and reloads the page. A browser may wait until the version before has nothing to do
   * any more. Chromium does that for up to five minutes, and starts the version before again if there is a request while it
   * ends. So imports send none meanwhile. If it takes long all the same, the page says so, and is reloaded when the change
   * has happened.
   */
  async accept(): Promise<void> {
    if (this.#isAccepted) return;
    this.#isAccepted = true;
    this.#page.offer('switching');
    // It has taken over already: by itself, or because another tab accepted it.
    if (!this.#registration?.waiting) return this.#tookOver();
    const letRequestsGo = await this.#page.holdRequests();
    try {
      await this.#ask(letRequestsGo);
    } finally {
      letRequestsGo();
    }
  }

  async #ask(letRequestsGo: () => void): Promise<void> {
    const asked = new Map<ServiceWorker, number>();
    for (let look = 1; this.#isAccepted; look++) {
      const waiting = this.#registration?.waiting;
      if (!waiting) return this.#tookOver();
      const times = asked.get(waiting) ?? 0; // a newer one may have taken its place
      if (times < LOOKS) waiting.postMessage({ type: 'SKIP_WAITING' });
      asked.set(waiting, times + 1);
      if (look === LOOKS) this.#page.offer('delayed');
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      if (look === HELD_LOOKS) letRequestsGo();
    }
  }
}
