/**
 * Buttons that grant something to the embedding page. That page decides where the frame is, how large, and what covers
 * it, so it could lead a click to a button that the user has not seen.
 */

/** Such a button works only after it has been visible for this long. */
export const ARM_MS = 700;
/** How much of it must be within the window; scaling leaves fractions of a pixel outside. */
const VISIBLE_SHARE = 0.95;
/** How often Chromium looks for what covers it; the shortest time that it allows. */
const OBSERVER_DELAY_MS = 100;

/** Chromium's second version of the observer, which also notices covers, opacity, filters and distortions. */
interface CoverOptions extends IntersectionObserverInit {
  trackVisibility: boolean;
  delay: number;
}
type CoverEntry = IntersectionObserverEntry & { isVisible?: boolean };

/**
 * Calls a function for each click of the user on a button that has been visible for {@link ARM_MS}. Until then, and
 * whenever it is hidden, covered (in Chromium) or outside the window, the button is disabled. Clicks of scripts do not
 * count.
 * @param area what the user must be able to see; default: the button, which then has to say what it does
 * @returns a function that ends it and leaves the button disabled
 */
export function onDeliberateClick(button: HTMLButtonElement, onClick: () => void, area: Element = button): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const disarm = (): void => {
    clearTimeout(timer);
    timer = undefined;
    button.disabled = true;
  };
  const options: CoverOptions = {
    threshold: [0, VISIBLE_SHARE, 1],
    trackVisibility: true,
    delay: OBSERVER_DELAY_MS,
  };
  const observer = new IntersectionObserver((entries) => {
    const { isIntersecting, intersectionRatio, isVisible } = entries[entries.length - 1] as CoverEntry;
    if (!isIntersecting || intersectionRatio < VISIBLE_SHARE || isVisible === false) return disarm();
    timer ??= setTimeout(() => {
      button.disabled = false;
    }, ARM_MS);
  }, options);
  disarm();
  button.title = 'Works once all of this has been visible for a moment';
  button.onclick = ({ isTrusted }) => {
    if (isTrusted && !button.disabled) onClick();
  };
  observer.observe(area);
  return () => {
    observer.disconnect();
    disarm();
    button.onclick = null;
  };
}
