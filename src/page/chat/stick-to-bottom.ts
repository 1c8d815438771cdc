/** A view that follows the text while it grows, and lets the reader go. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';

export interface ScrollPosition {
  top: number;
  /** Height of what is scrolled. */
  content: number;
  /** Height of the window on it. */
  view: number;
}

/** Pixels from the end that still count as the end. */
const NEAR = 32;

/**
 * Whether the view follows after it was scrolled. Only a move upwards lets go: text that grows below moves nothing, and
 * our own scrolling goes down.
 * @param before place of the scroll event before
 */
export function follows(following: boolean, before: ScrollPosition, now: ScrollPosition): boolean {
  if (now.content - now.top - now.view <= NEAR) return true;
  // Content that shrank moves the view up by itself.
  return now.top < before.top - 1 && now.content >= before.content ? false : following;
}

const scrollPositionOf = ({ scrollTop, scrollHeight, clientHeight }: HTMLElement): ScrollPosition => ({
  top: scrollTop,
  content: scrollHeight,
  view: clientHeight,
});

/** @param key what is shown; another one begins at its end again */
export function useStickToEnd(key: string | undefined) {
  const scroller = useRef<HTMLElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const following = useRef(true);
  const lastPosition = useRef<ScrollPosition>({ top: 0, content: 0, view: 0 });
  const [atEnd, setAtEnd] = useState(true);

  const toEnd = useCallback((): void => {
    following.current = true;
    setAtEnd(true);
    scroller.current?.scrollTo({ top: scroller.current.scrollHeight });
  }, []);

  useEffect(() => {
    const [element, inner] = [scroller.current, content.current];
    if (!element || !inner) return;
    const onScroll = (): void => {
      const now = scrollPositionOf(element);
      following.current = follows(following.current, lastPosition.current, now);
      lastPosition.current = now;
      setAtEnd(following.current);
    };
    const onGrowth = (): void => {
      if (following.current) element.scrollTo({ top: element.scrollHeight });
    };
    const observer = new ResizeObserver(onGrowth);
    observer.observe(inner);
    observer.observe(element);
    element.addEventListener('scroll', onScroll, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener('scroll', onScroll);
    };
  }, []);

  useEffect(toEnd, [key]);
  return { scroller, content, atEnd, toEnd };
}
