/** Keeps what the reader sees where it is while parts above it are drawn. */

/**
 * What is drawn as a whole: nothing is inserted inside. In the order of the page. The actions of an answer count while its
 * height is held, because they do not move then.
 */
const WHOLE = '.bubble, .block, code > span, .prose.held ~ .actions';

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
    const anchor = anchorOf(scroller);
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

/** @returns the part at the top of the view, or the first one in it if all of the part before it is above the view */
function anchorOf(scroller: HTMLElement): Element | undefined {
  const parts = scroller.querySelectorAll(WHOLE);
  const view = scroller.getBoundingClientRect();
  const index = Math.max(0, lastAbove(parts, view.top + 1));
  const part: Element | undefined = parts[index];
  const next: Element | undefined = parts[index + 1];
  const isAbove = part && part.getBoundingClientRect().bottom <= view.top;
  return isAbove && next && next.getBoundingClientRect().top < view.bottom ? next : part;
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
