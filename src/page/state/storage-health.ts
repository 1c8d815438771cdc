/**
 * Whether what the user wrote reaches the disk, as signals. Set by the stores of this folder; `saveFailure` by the
 * service `storage-keeper.ts`.
 */
import { signal } from '@preact/signals';
import type { ErrorData } from '../../contract/errors.ts';

/** Why the newest changes of conversations are not stored; undefined if they are. */
export const unsavedConversations = signal<Error | undefined>(undefined);
/**
 * Why the stored conversations cannot be read yet; undefined if they were. Those of which there are copies are shown
 * meanwhile.
 */
export const unreadConversations = signal<Error | undefined>(undefined);
/** Why the stored settings cannot be read yet, so that the defaults apply; undefined if they were. */
export const unreadSettings = signal<Error | undefined>(undefined);
/** Why the newest changes of settings are not stored; undefined if they are. */
export const unsavedSettings = signal<Error | undefined>(undefined);
/** What the user should know about it, once nothing dispensable is left to delete. Shown until everything is stored. */
export const saveFailure = signal<ErrorData | undefined>(undefined);
/** The browser had deleted conversations, and they were stored again: how many. 0 once the user has read it. */
export const restoredConversations = signal(0);
/**
 * The browser has deleted conversations while no page had them in memory: how many, and how many of them were restored
 * from copies. undefined once the user has read it.
 */
export const lostConversations = signal<{ count: number; restored: number } | undefined>(undefined);
/** The disk was full, and everything is stored again. False once the user has read it. */
export const diskWasFull = signal(false);
