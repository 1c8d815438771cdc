/** Signals for the notices above the composer and for screen readers. Every service may set them. */
import { signal } from '@preact/signals';
import type { ErrorData } from '../../contract/errors.ts';

/** The newest error. Set only by `report` in services/problems.ts; cleared when the user tries something new. */
export const problem = signal<ErrorData | undefined>(undefined);
/** Read out by screen readers when it changes. */
export const announcement = signal('');
/** A new version of the page, and how far the change to it is. */
export interface PageUpdate {
  state: 'ready' | 'switching' | 'delayed';
  /** Changes to it. */
  use: () => void;
}

/** The new version of the page; undefined until one is ready. Set by shell/page-update.ts. */
export const updateReady = signal<PageUpdate | undefined>(undefined);
