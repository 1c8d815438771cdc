/**
 * Buttons that grant something to the embedding page. That page decides where the frame is, how large, and what covers
 * it, so it could lead a click to a button that the user has not seen.
 */

/** Such a button works only after it has been visible for this long. */
export const ARM_MS = 700;
/**
 * How much of that the time since the frame before may count. A page that is hidden, or a frame that is not drawn, gets
 * no frames, and the user sees nothing.
 */
const FRAME_MS = 100;
/** Without a frame for this long, nothing was drawn: whatever was visible before has to be seen again. */
const NOT_DRAWN_MS = 2000;
/** How much of it must be within the window; scaling leaves fractions of a pixel outside. */
const VISIBLE_SHARE = 0.95;
/** How often Chromium looks for what covers it; the shortest time that it allows. */
const OBSERVER_DELAY_MS = 100;
/** While the button is disabled, the browser is asked this often what is visible now, in case it missed a change. */
const ASK_AGAIN_MS = 2000;

/** Chromium's second version of the observer, which also notices covers, opacity, filters and distortions. */
interface CoverOptions extends IntersectionObserverInit {
  trackVisibility: boolean;
  delay: number;
}
type CoverEntry = IntersectionObserverEntry & { isVisible?: boolean };

/** What the user must have seen before a click counts. */
export interface Shown {
  /** Contains the button and everything that says what it does. */
  area: Element;
  /** The text in small pieces, each of which fits in a small window. */
  pieces: readonly Element[];
}

/**
 * Calls a function for each click of the user on a button that has been visible for {@link ARM_MS}. Until then, and
 * whenever it is hidden, covered (in Chromium) or outside the window, the button is disabled. Time in which the page is
 * hidden or the frame is not drawn does not count. Clicks of scripts do not count either.
 * @param shown default: only the button, which then has to say what it does. The whole area must be visible. If it is
 *   larger than the window, so that the user has to scroll, the button must be visible, and each piece must have been
 *   visible for {@link ARM_MS} before.
 * @returns a function that ends it and leaves the button disabled
 */
export function onDeliberateClick(
  button: HTMLButtonElement,
  onClick: () => void,
  { area, pieces }: Shown = { area: button, pieces: [] },
): () => void {
  const seen = new SeenElements([area, button, ...pieces], update);
  function update(): void {
    const wasRead = (): boolean => seen.is(button) && pieces.every((piece) => seen.was(piece)) && !fitsInWindow(area);
    button.disabled = !seen.is(area) && !wasRead();
  }
  update();
  const again = setInterval(() => button.disabled && seen.askAgain(), ASK_AGAIN_MS);
  button.title = 'Works once all of this has been visible for a moment';
  button.onclick = ({ isTrusted }) => {
    update(); // the window's size may have changed
    if (isTrusted && !button.disabled) onClick();
  };
  return () => {
    clearInterval(again);
    seen.close();
    button.disabled = true;
    button.onclick = null;
  };
}

function fitsInWindow(area: Element): boolean {
  const { width, height } = area.getBoundingClientRect();
  const { clientWidth, clientHeight } = document.documentElement; // without scroll bars
  return width <= clientWidth && height <= clientHeight;
}

/** How long an element has been visible without a break, and when that was counted last; both in milliseconds. */
interface Visible {
  shownMs: number;
  countedAt: number;
}

/** Which elements the user can see, and could see before. */
class SeenElements {
  #observer: IntersectionObserver;
  readonly #visible = new Map<Element, Visible>();
  readonly #ever = new Set<Element>();
  /** The next frame is awaited. */
  #isCounting = false;
  /** The page was hidden or shown. */
  readonly #onVisibility = (): void => {
    // Nothing changes for the observer while nothing is drawn, so a new one has to say what is visible now.
    if (document.visibilityState === 'visible') this.askAgain();
    else this.#visible.clear();
    this.onChange();
  };

  /** @param onChange called after each change of what is seen */
  constructor(
    private readonly elements: readonly Element[],
    private readonly onChange: () => void,
  ) {
    this.#observer = this.#observe();
    document.addEventListener('visibilitychange', this.#onVisibility);
  }

  /**
   * Observes the elements anew: the first report of an observer is what is visible now. Until it comes, all stays as it
   * is, and elements that were hidden or covered still count as such. The new observer begins before the old one ends,
   * so that the browser does not stop looking for covers in between.
   */
  askAgain(): void {
    const before = this.#observer;
    this.#observer = this.#observe();
    before.disconnect();
  }

  #observe(): IntersectionObserver {
    const options: CoverOptions = {
      threshold: [0, VISIBLE_SHARE, 1],
      trackVisibility: true,
      delay: OBSERVER_DELAY_MS,
    };
    const observer = new IntersectionObserver((entries) => {
      if (observer !== this.#observer) return;
      for (const entry of entries) this.#note(entry);
      this.onChange();
    }, options);
    for (const element of new Set(this.elements)) observer.observe(element);
    return observer;
  }

  /** Whether it is visible, and has been for {@link ARM_MS}. */
  is(element: Element): boolean {
    const visible = this.#visible.get(element);
    return visible !== undefined && visible.shownMs >= ARM_MS && !isOld(visible);
  }

  /** Whether it was visible for {@link ARM_MS} at some time. */
  was(element: Element): boolean {
    return this.#ever.has(element);
  }

  close(): void {
    document.removeEventListener('visibilitychange', this.#onVisibility);
    this.#observer.disconnect();
    this.#visible.clear();
  }

  #note({ target, isIntersecting, intersectionRatio, isVisible }: CoverEntry): void {
    if (!isIntersecting || intersectionRatio < VISIBLE_SHARE || isVisible === false) {
      this.#visible.delete(target);
    } else if (!this.#visible.has(target)) {
      this.#visible.set(target, { shownMs: 0, countedAt: performance.now() });
      this.#countFrames();
    }
  }

  /** Counts how long elements are visible, in the frames that the browser draws, while there are any. */
  #countFrames(): void {
    if (this.#isCounting || this.#visible.size === 0) return;
    this.#isCounting = true;
    requestAnimationFrame(() => {
      this.#isCounting = false;
      for (const [element, visible] of this.#visible) {
        if (isOld(visible)) visible.shownMs = 0;
        else visible.shownMs += Math.min(performance.now() - visible.countedAt, FRAME_MS);
        visible.countedAt = performance.now();
        if (visible.shownMs >= ARM_MS) this.#ever.add(element);
      }
      this.onChange();
      this.#countFrames();
    });
  }
}

/** Whether nothing has been drawn since it was counted. */
const isOld = ({ countedAt }: Visible): boolean => performance.now() - countedAt >= NOT_DRAWN_MS;
