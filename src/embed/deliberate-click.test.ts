import { beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import { ARM_MS, onDeliberateClick } from './deliberate-click.ts';

type Seen = { isIntersecting: boolean; intersectionRatio: number; isVisible?: boolean };

/** What the browser says of the button. */
let show: (seen: Seen) => void;
let observed: { options: object; ended: boolean };
const VISIBLE: Seen = { isIntersecting: true, intersectionRatio: 1 };

beforeEach(() => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  vi.stubGlobal(
    'IntersectionObserver',
    class {
      constructor(callback: (entries: Seen[]) => void, options: object) {
        show = (seen) => callback([seen]);
        observed = { options, ended: false };
      }
      observe(): void {}
      disconnect(): void {
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
