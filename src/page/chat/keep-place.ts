/** Keeps what the reader sees where it is while parts above it are drawn. */

/** What is drawn as a whole: nothing is inserted inside. In the order of the page. */
const WHOLE = '.bubble, .block, code > span';

/**
 * Call it before something is drawn. The browser's own scroll anchoring is off until then, because Safari has none, and
 * others do nothing at the very top.
 * @param scroller the scrolling element
 * @returns restores the place of what is at the top of the view. It lays the page out, so that this belongs to the step.
 */
export function keepPlace(scroller: HTMLElement): () => void {
  const parts = scroller.querySelectorAll(WHOLE);
  const anchor: Element | undefined = parts[Math.max(0, lastAbove(parts, scroller.getBoundingClientRect().top + 1))];
  const before = anchor?.getBoundingClientRect().top ?? 0;
  scroller.style.overflowAnchor = 'none';
  return () => {
    const after = anchor?.isConnected ? anchor.getBoundingClientRect().top : before;
    if (after !== before) scroller.scrollTop += after - before;
    void scroller.scrollHeight;
    scroller.style.overflowAnchor = '';
  };
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
