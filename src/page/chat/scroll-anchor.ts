/** Keeps what the reader sees where it is while parts above it are drawn. */

/** What is drawn as a whole: nothing is inserted inside. In the order of the page. */
const WHOLE = '.bubble, .block, code > span';

/** Keeps what is at the top of a scrolling element at its position. */
export class ScrollAnchor {
  readonly #scroller: HTMLElement;
  /** Browsers round the scroll position. This is how far the last anchor is from where it was. */
  #rounded = 0;

  constructor(scroller: HTMLElement) {
    this.#scroller = scroller;
  }

  /**
   * Call it before something is drawn. The browser's own scroll anchoring is off until it is restored, because Safari has
   * none, and others do nothing at the very top.
   * @returns restores the position, and returns by how many CSS pixels the view was scrolled for that. It lays the page
   *   out, so that this belongs to the step.
   */
  record(): () => number {
    const scroller = this.#scroller;
    const parts = scroller.querySelectorAll(WHOLE);
    const anchor: Element | undefined = parts[Math.max(0, lastAbove(parts, scroller.getBoundingClientRect().top + 1))];
    const topOf = (): number => anchor?.getBoundingClientRect().top ?? 0;
    const before = topOf() - this.#rounded;
    scroller.style.overflowAnchor = 'none';
    return () => {
      const moved = anchor?.isConnected ? topOf() - before : 0;
      if (moved !== 0) scroller.scrollTop += moved;
      const left = anchor?.isConnected ? topOf() - before : 0;
      this.#rounded = Math.abs(left) < 1 ? left : 0; // more: there is nothing to scroll
      void scroller.scrollHeight;
      scroller.style.overflowAnchor = '';
      return moved;
    };
  }
}

/** @returns index of the last element whose top is at or above `y`; -1 if there is none. Reads few positions. */
function lastAbove(parts: ArrayLike<Element>, y: number): number {
  let [low, high] = [-1, parts.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (parts[middle].getBoundingClientRect().top <= y) low = middle;
    else high = middle - 1;
  }
  return low;
}
