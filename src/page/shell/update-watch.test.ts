/** Updates of the page, in every order in which a browser and other tabs may do things. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { UpdateWatch } from './update-watch.ts';

class FakeWorker extends EventTarget {
  state: ServiceWorkerState = 'installing';
  /** The browser, which answers messages. */
  onMessage = (): void => {};
  asked = 0;

  postMessage({ type }: { type: string }): void {
    expect(type).toBe('SKIP_WAITING');
    this.asked++;
    this.onMessage();
  }

  become(state: ServiceWorkerState): void {
    this.state = state;
    this.dispatchEvent(new Event('statechange'));
  }
}

/** A browser with one version of the page that is active, and a tab. */
class Browser {
  readonly container = Object.assign(new EventTarget(), { controller: null as FakeWorker | null });
  readonly registration = Object.assign(new EventTarget(), {
    installing: null as FakeWorker | null,
    waiting: null as FakeWorker | null,
    active: null as FakeWorker | null,
  });
  isBusy = false;
  /** Resolves when the requests of imports that were sent before have got their answers. */
  answers: Promise<void> = Promise.resolve();
  /** How often requests are held back. */
  holds = 0;
  readonly offers: string[] = [];
  reloads = 0;
  readonly watch: UpdateWatch;

  /** @param isControlled the tab was loaded by the active version; otherwise there was none then */
  constructor(isControlled = true) {
    const first = new FakeWorker();
    first.state = 'activated';
    this.registration.active = first;
    if (isControlled) this.container.controller = first;
    this.watch = new UpdateWatch(this.container as unknown as ServiceWorkerContainer, {
      offer: (state) => void this.offers.push(state),
      holdRequests: async () => {
        await this.answers;
        this.holds++;
        return () => {
          this.holds = 0;
        };
      },
      isBusy: () => this.isBusy,
      reload: () => this.reloads++,
    });
  }

  follow(): this {
    this.watch.follow(this.registration as unknown as ServiceWorkerRegistration);
    return this;
  }

  /** Another version is found. It replaces one that waits once it is installed. */
  find(): FakeWorker {
    const worker = new FakeWorker();
    this.registration.installing = worker;
    this.registration.dispatchEvent(new Event('updatefound'));
    return worker;
  }

  install(worker: FakeWorker): FakeWorker {
    const before = this.registration.waiting;
    Object.assign(this.registration, { installing: null, waiting: worker });
    before?.become('redundant');
    worker.become('installed');
    return worker;
  }

  activate(worker: FakeWorker): void {
    const before = this.registration.active;
    Object.assign(this.registration, { waiting: null, active: worker });
    before?.become('redundant');
    worker.become('activating');
    if (this.container.controller) {
      this.container.controller = worker;
      this.container.dispatchEvent(new Event('controllerchange'));
    }
    worker.become('activated');
  }
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const seconds = (count: number): Promise<unknown> => vi.advanceTimersByTimeAsync(1000 * count);

it.each([true, false])('is offered, and used once the user accepts it; the tab has a controller: %s', async (has) => {
  const browser = new Browser(has).follow();
  const worker = browser.find();
  expect(browser.offers).toEqual([]);
  worker.onMessage = () => browser.activate(worker);
  browser.install(worker);
  await seconds(600);
  expect([browser.offers, browser.reloads]).toEqual([['ready'], 0]);
  void browser.watch.accept();
  await seconds(60);
  expect([browser.offers, browser.reloads]).toEqual([['ready', 'switching'], 1]);
});

it('the first version is no update', async () => {
  const browser = new Browser(false);
  const first = browser.registration.active!;
  first.state = 'installing';
  Object.assign(browser.registration, { active: null, installing: first });
  browser.follow();
  browser.install(first);
  browser.activate(first);
  await seconds(60);
  expect([browser.offers, browser.reloads]).toEqual([[], 0]);
});

it.each(['installing', 'installed'])('is offered if it is %s when the tab begins to follow updates', (state) => {
  const browser = new Browser();
  const worker = browser.find();
  if (state === 'installed') browser.install(worker);
  browser.follow();
  if (state === 'installing') browser.install(worker);
  expect(browser.offers).toEqual(['ready']);
});

it('is used if another tab has accepted it before this one begins to follow updates', () => {
  const browser = new Browser();
  browser.activate(browser.install(browser.find()));
  browser.follow();
  expect(browser.reloads).toBe(1);
});

it.each([true, false])('is used if it took over by itself before the click; the tab has a controller: %s', (has) => {
  const browser = new Browser(has).follow();
  browser.isBusy = true;
  browser.activate(browser.install(browser.find()));
  expect([browser.offers.at(-1), browser.reloads]).toEqual(['ready', 0]);
  browser.isBusy = false;
  void browser.watch.accept();
  expect(browser.reloads).toBe(1);
});

it('is used although a still newer one takes its place after the click', async () => {
  const browser = new Browser().follow();
  browser.install(browser.find()); // it does not react before it is replaced
  void browser.watch.accept();
  const newer = browser.find();
  newer.onMessage = () => browser.activate(newer);
  browser.install(newer);
  await seconds(2);
  expect([newer.asked, browser.offers, browser.reloads]).toEqual([1, ['ready', 'switching'], 1]);
});

it('is asked again if a message was lost', async () => {
  const browser = new Browser().follow();
  const worker = browser.install(browser.find());
  void browser.watch.accept();
  void browser.watch.accept(); // a second click
  await seconds(0);
  worker.onMessage = () => browser.activate(worker);
  await seconds(2);
  expect([worker.asked, browser.reloads]).toEqual([2, 1]);
});

it('is asked when no request waits for its answer; others are held back until it has taken over, or for 4 s', async () => {
  const browser = new Browser().follow();
  browser.answers = new Promise((resolve) => setTimeout(resolve, 2000));
  const worker = browser.install(browser.find());
  void browser.watch.accept();
  await seconds(1);
  expect([worker.asked, browser.holds]).toEqual([0, 0]);
  await seconds(1);
  expect([worker.asked, browser.holds]).toEqual([1, 1]);
  await seconds(3);
  expect(browser.holds).toBe(1);
  await seconds(1);
  expect(browser.holds).toBe(0);
});

it('lets requests go again once it has taken over, if the page is not reloaded', async () => {
  const browser = new Browser().follow();
  const worker = browser.install(browser.find());
  worker.onMessage = () => {
    browser.isBusy = true;
    browser.activate(worker);
  };
  void browser.watch.accept();
  await seconds(2);
  expect([worker.asked, browser.reloads, browser.holds]).toEqual([1, 0, 0]);
});

it('says so if the browser does not change to it yet, and uses it when it has', async () => {
  const browser = new Browser().follow();
  const worker = browser.install(browser.find());
  void browser.watch.accept();
  await seconds(10);
  expect(browser.offers).toEqual(['ready', 'switching', 'delayed']);
  await seconds(300);
  expect(browser.offers).toHaveLength(3);
  expect(worker.asked).toBe(5);
  browser.activate(worker);
  expect(browser.reloads).toBe(1);
  await seconds(60);
  expect(browser.reloads).toBe(1);
});

it.each([true, false])('ends no work that has begun since; the tab has a controller: %s', async (has) => {
  const browser = new Browser(has).follow();
  const worker = browser.install(browser.find());
  void browser.watch.accept();
  browser.isBusy = true;
  browser.activate(worker);
  await seconds(60);
  expect([browser.offers.at(-1), browser.reloads]).toEqual(['ready', 0]);
  browser.isBusy = false;
  void browser.watch.accept();
  expect(browser.reloads).toBe(1);
});
