import { beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import { ARM_MS, onDeliberateClick } from './deliberate-click.ts';

type Seen = { isIntersecting: boolean; intersectionRatio: number; isVisible?: boolean };

/** What the browser says of an element. */
let report: (entries: (Seen & { target: unknown })[]) => void;
/** What it says of the button alone. */
let show: (seen: Seen) => void;
let targets: unknown[];
let observed: { options: object; ended: boolean };
/** How many observers have begun, and how many of them observe now. */
let observers: { begun: number; now: number };
const VISIBLE: Seen = { isIntersecting: true, intersectionRatio: 1 };
/** Whether the browser draws frames, and the page that it draws. */
let draws: boolean;
let page: EventTarget & { visibilityState: string; documentElement: { clientWidth: number; clientHeight: number } };

beforeEach(() => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  observers = { begun: 0, now: 0 };
  draws = true;
  page = Object.assign(new EventTarget(), {
    visibilityState: 'visible',
    documentElement: { clientWidth: 300, clientHeight: 100 },
  });
  vi.stubGlobal('document', page);
  const frame = (draw: () => void): void => void setTimeout(() => (draws ? draw() : frame(draw)), 10);
  vi.stubGlobal('requestAnimationFrame', frame);
  vi.stubGlobal(
    'IntersectionObserver',
    class {
      constructor(callback: typeof report, options: object) {
        observers.begun++;
        observers.now++;
        report = callback;
        targets = [];
        show = (seen) => callback([{ ...seen, target: targets[0] }]);
        observed = { options, ended: false };
      }
      observe(target: unknown): void {
        targets.push(target);
      }
      disconnect(): void {
        observers.now--;
        observed.ended = true;
      }
    },
  );
  onTestFinished(() => void vi.unstubAllGlobals());
});

function setUp() {
  const button = { disabled: false } as HTMLButtonElement;
  const clicks = vi.fn();
  const end = onDeliberateClick(button, clicks);
  const click = (isTrusted = true): void => void button.onclick?.({ isTrusted } as PointerEvent);
  return { button, clicks, end, click };
}

it('a button works once it has been visible for a while', () => {
  const { button, clicks, click } = setUp();
  vi.advanceTimersByTime(60_000); // it has never been visible
  expect(button.disabled).toBe(true);
  show(VISIBLE);
  vi.advanceTimersByTime(ARM_MS - 1);
  expect(button.disabled).toBe(true);
  click();
  expect(clicks).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(button.disabled).toBe(false);
  click();
  expect(clicks).toHaveBeenCalledTimes(1);
});

it('a click of a script has no effect', () => {
  const { clicks, click } = setUp();
  show(VISIBLE);
  vi.advanceTimersByTime(ARM_MS);
  click(false);
  expect(clicks).not.toHaveBeenCalled();
});

it.each([
  ['outside the window', { isIntersecting: false, intersectionRatio: 0 }],
  ['partly outside', { isIntersecting: true, intersectionRatio: 0.9 }],
  ['covered', { ...VISIBLE, isVisible: false }],
])('the wait begins again after it was %s', (_name, hidden) => {
  const { button, click, clicks } = setUp();
  show(VISIBLE);
  vi.advanceTimersByTime(ARM_MS);
  show(hidden);
  expect(button.disabled).toBe(true);
  click();
  expect(clicks).not.toHaveBeenCalled();
  show({ ...VISIBLE, isVisible: true });
  vi.advanceTimersByTime(ARM_MS - 1);
  expect(button.disabled).toBe(true);
  vi.advanceTimersByTime(1);
  expect(button.disabled).toBe(false);
});

it.each([
  ['before', ARM_MS - 100],
  ['after', ARM_MS],
])('time in which nothing is drawn does not count, and the wait begins again: %s it works', (_name, shownMs) => {
  const { button, click, clicks } = setUp();
  show(VISIBLE);
  vi.advanceTimersByTime(shownMs);
  draws = false; // the embedding page has hidden the frame, of which an observer need not report anything
  vi.advanceTimersByTime(60_000);
  click();
  expect([button.disabled, clicks.mock.calls]).toEqual([true, []]);
  draws = true;
  vi.advanceTimersByTime(ARM_MS); // the first frame only begins the wait
  expect(button.disabled).toBe(true);
  vi.advanceTimersByTime(10);
  expect(button.disabled).toBe(false);
});

it('with few frames a second, each counts a little', () => {
  const { button } = setUp();
  show(VISIBLE);
  draws = false;
  for (let second = 1; second <= 7; second++) {
    vi.advanceTimersByTime(995);
    expect(button.disabled).toBe(true);
    draws = true;
    vi.advanceTimersByTime(5);
    draws = false;
  }
  expect(button.disabled).toBe(false);
});

it.each([
  ['before', ARM_MS - 100],
  ['after', ARM_MS],
])('the wait begins again after the page was hidden: %s it works', (_name, shownMs) => {
  const { button, click, clicks } = setUp();
  const switchTo = (visibilityState: string): void => {
    page.visibilityState = visibilityState;
    page.dispatchEvent(new Event('visibilitychange'));
  };
  show(VISIBLE);
  vi.advanceTimersByTime(shownMs);
  switchTo('hidden');
  draws = false;
  vi.advanceTimersByTime(1000);
  click();
  expect([button.disabled, clicks.mock.calls]).toEqual([true, []]);
  draws = true;
  const { begun } = observers;
  switchTo('visible');
  expect(observers.begun).toBe(begun + 1); // the observer before would report only a change
  show(VISIBLE);
  vi.advanceTimersByTime(ARM_MS - 1);
  expect(button.disabled).toBe(true);
  vi.advanceTimersByTime(1);
  expect(button.disabled).toBe(false);
});

const COVERED: Seen = { ...VISIBLE, isVisible: false };

it('asks again what is visible while the button is disabled, in case the browser has missed a change', () => {
  const { button, end } = setUp();
  show(COVERED);
  vi.advanceTimersByTime(2000);
  expect(observers).toEqual({ begun: 2, now: 1 });
  show(COVERED); // it still is: a new observer reports what is visible now
  vi.advanceTimersByTime(60_000);
  expect([button.disabled, observers.now]).toEqual([true, 1]);
  show({ ...VISIBLE, isVisible: true });
  vi.advanceTimersByTime(ARM_MS - 1);
  expect(button.disabled).toBe(true);
  vi.advanceTimersByTime(1);
  expect(button.disabled).toBe(false);
  const { begun } = observers;
  vi.advanceTimersByTime(60_000);
  expect(observers.begun).toBe(begun); // not while the button works
  show(COVERED);
  expect(button.disabled).toBe(true);
  end();
  vi.advanceTimersByTime(60_000);
  expect(observers).toEqual({ begun, now: 0 });
});

it('nothing counts as visible because it is asked again: neither what was covered, nor a late report', () => {
  const { button } = setUp();
  const [late, button1] = [report, targets[0]];
  show(COVERED);
  vi.advanceTimersByTime(2000);
  late([{ ...VISIBLE, target: button1 }]); // of the observer before
  vi.advanceTimersByTime(60_000); // no observer reports anything
  expect(button.disabled).toBe(true);
});

it('asking again does not interrupt what is being looked at', () => {
  const { pieces, button, say } = ask(150);
  vi.advanceTimersByTime(1900);
  for (const each of [...pieces, button]) say(each, VISIBLE);
  vi.advanceTimersByTime(200);
  expect([observers.begun, button.disabled]).toEqual([2, true]);
  for (const each of [...pieces, button]) say(each, VISIBLE); // the first report of the new observer
  vi.advanceTimersByTime(ARM_MS - 200);
  expect(button.disabled).toBe(false);
});

it('asks the browser to look for covers, and ends with the button disabled', () => {
  const { button, end, click, clicks } = setUp();
  expect(observed.options).toMatchObject({ trackVisibility: true, delay: 100 });
  show(VISIBLE);
  vi.advanceTimersByTime(ARM_MS);
  end();
  click();
  expect({ disabled: button.disabled, ended: observed.ended, clicks: clicks.mock.calls }).toEqual({
    disabled: true,
    ended: true,
    clicks: [],
  });
});

const HIDDEN: Seen = { isIntersecting: false, intersectionRatio: 0 };

/** A question of two pieces in a window of 300 x 100 pixels. */
function ask(height: number) {
  const size = { height };
  const area = { getBoundingClientRect: () => ({ width: 280, height: size.height }) } as unknown as Element;
  const pieces = [{}, {}] as Element[];
  const button = { disabled: false } as HTMLButtonElement;
  const clicks = vi.fn();
  onDeliberateClick(button, clicks, { area, pieces });
  const say = (target: unknown, seen: Seen): void => report([{ ...seen, target }]);
  return { area, pieces, button, clicks, size, say };
}

it('all of a question that fits in the window must be visible', () => {
  const { area, pieces, button, say } = ask(100);
  for (const each of [...pieces, button]) say(each, VISIBLE);
  say(area, { isIntersecting: true, intersectionRatio: 0.9 }); // the embedding page shows the rest elsewhere
  vi.advanceTimersByTime(60_000);
  expect(button.disabled).toBe(true);
  say(area, VISIBLE);
  vi.advanceTimersByTime(ARM_MS);
  expect(button.disabled).toBe(false);
});

it('a question that is larger than the window can be read by scrolling, and then the button has to be visible', () => {
  const { pieces, button, clicks, say } = ask(150);
  const click = (): void => void button.onclick?.({ isTrusted: true } as PointerEvent);
  say(pieces[0], VISIBLE);
  vi.advanceTimersByTime(ARM_MS);
  say(pieces[0], HIDDEN);
  say(button, VISIBLE);
  say(pieces[1], VISIBLE);
  vi.advanceTimersByTime(ARM_MS - 1);
  expect(button.disabled).toBe(true);
  vi.advanceTimersByTime(1);
  expect(button.disabled).toBe(false);
  say(button, { ...VISIBLE, isVisible: false }); // covered
  expect(button.disabled).toBe(true);
  click();
  expect(clicks).not.toHaveBeenCalled();
  say(button, VISIBLE);
  vi.advanceTimersByTime(ARM_MS);
  click();
  expect(clicks).toHaveBeenCalledTimes(1);
});

it.each([
  ['scrolled past too fast', HIDDEN],
  ['covered', { ...VISIBLE, isVisible: false }],
])('a piece that was %s counts as unread', (_name, hidden) => {
  const { pieces, button, say } = ask(150);
  for (const each of [...pieces, button]) say(each, VISIBLE);
  vi.advanceTimersByTime(ARM_MS - 1);
  say(pieces[0], hidden);
  vi.advanceTimersByTime(60_000);
  expect(button.disabled).toBe(true);
});

it('a window that has grown must show all of the question', () => {
  const { pieces, button, clicks, size, say } = ask(150);
  for (const each of [...pieces, button]) say(each, VISIBLE);
  vi.advanceTimersByTime(ARM_MS);
  expect(button.disabled).toBe(false);
  size.height = 90;
  button.onclick?.({ isTrusted: true } as PointerEvent);
  expect([button.disabled, clicks.mock.calls]).toEqual([true, []]);
});
