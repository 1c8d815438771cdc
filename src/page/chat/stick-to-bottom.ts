/** Scrolling that follows text while it streams in, and stops following when the reader scrolls up. */
import { useCallback, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { noteDrawn, noteStep } from '../state/unfinished-drawing.ts';
import { drawing } from './drawing-queue.ts';
import { ScrollAnchor } from './scroll-anchor.ts';

/** What a scrolling element reports about itself, in CSS pixels. */
export interface ScrollPosition {
  /** How far it is scrolled down. */
  top: number;
  /** Height of everything in it. */
  contentHeight: number;
  /** Height of its visible part. */
  viewHeight: number;
}

/** Pixels from the bottom that still count as the bottom. */
const BOTTOM_TOLERANCE = 32;

/**
 * Decides after a scroll event whether the view keeps following the text. Only an upward scroll stops it: growing text
 * does not move the view, and our own scrolling goes down.
 * @param previous the position at the previous scroll event
 */
export function shouldFollow(following: boolean, previous: ScrollPosition, now: ScrollPosition): boolean {
  if (now.contentHeight - now.top - now.viewHeight <= BOTTOM_TOLERANCE) return true;
  // Shrinking content moves the view up without the reader.
  const readerScrolledUp = now.top < previous.top - 1 && now.contentHeight >= previous.contentHeight;
  return following && !readerScrolledUp;
}

const scrollPositionOf = ({ scrollTop, scrollHeight, clientHeight }: HTMLElement): ScrollPosition => ({
  top: scrollTop,
  contentHeight: scrollHeight,
  viewHeight: clientHeight,
});

const toBottom = (element: HTMLElement): void => element.scrollTo({ top: element.scrollHeight });

function endDrawing(content: HTMLElement): void {
  content.style.removeProperty('min-height');
  noteDrawn();
}

interface Options {
  /** Identifies the content. When it changes, the view starts over. */
  key: string | undefined;
  /** Whether to follow the text. If not, the view starts at its top and stays where the reader puts it. */
  enabled: boolean;
}

/**
 * Keeps a scrolling element at its bottom while its content grows.
 * @returns refs for the scrolling element and its content, whether it is at its bottom, and a function to scroll there
 */
export function useStickToBottom({ key, enabled }: Options) {
  const scroller = useRef<HTMLElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const following = useRef(enabled);
  const [atBottom, setAtBottom] = useState(true);

  const scrollToBottom = useCallback((): void => {
    following.current = true;
    setAtBottom(true);
    if (scroller.current) toBottom(scroller.current);
  }, []);

  // A layout effect, because the conversation is drawn right after it: at its end, if the view is there.
  useLayoutEffect(() => {
    const [element, inner] = [scroller.current, content.current];
    if (!element || !inner) return;
    following.current = enabled;
    setAtBottom(true);
    element.scrollTo({ top: enabled ? element.scrollHeight : 0 });
    if (!enabled) return;
    let [previous, contentHeight] = [scrollPositionOf(element), inner.offsetHeight];
    const anchor = new ScrollAnchor(element);
    drawing.show({
      start(): boolean {
        // Something in the middle may be replaced. If the page became shorter meanwhile, it would be scrolled.
        if (!following.current) inner.style.minHeight = `${contentHeight}px`;
        return following.current;
      },
      beforeStep(): () => void {
        noteStep();
        const restore = anchor.record(); // it scrolls, and a reader who scrolls up less than that should be noticed
        return () => (previous = { ...previous, top: previous.top + restore() });
      },
      end: () => endDrawing(inner),
    });
    const notePosition = (): void => {
      const now = scrollPositionOf(element);
      following.current = shouldFollow(following.current, previous, now);
      previous = now;
      setAtBottom(following.current);
    };
    const observer = new ResizeObserver(() => {
      contentHeight = inner.offsetHeight;
      notePosition(); // the event of what the reader scrolled in this frame may come in the next one
      if (!following.current) return;
      toBottom(element);
      previous = scrollPositionOf(element);
    });
    observer.observe(inner);
    observer.observe(element);
    element.addEventListener('scroll', notePosition, { passive: true });
    return () => {
      drawing.show();
      observer.disconnect();
      element.removeEventListener('scroll', notePosition);
    };
  }, [key, enabled]);

  return { scroller, content, atBottom, scrollToBottom };
}
