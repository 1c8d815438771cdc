/**
 * Copies changed conversations to localStorage ({@link storeCopy}), one at a time, while the page is idle. localStorage
 * is synchronous, and Chromium writes it to the disk at most 60 times and 10 MB per hour. So a conversation is copied
 * some seconds after its last change, and while an answer is being written in it, once per minute.
 */
import { storeCopy } from './conversation-copies.ts';
import type { Conversation } from './conversation-tree.ts';

/** What the writer needs to know of conversations. */
export interface CopySource {
  /** @returns undefined if there is no such conversation (any more) */
  get(id: string): Conversation | undefined;
  /** Whether an answer is being written in it. */
  isStreaming(id: string): boolean;
  /** Whether nothing must be written now. */
  isPaused(): boolean;
  /** Called after conversations were copied, once for all that were due. */
  onCopied(): void;
}

/** Changed conversations are copied after this time, in milliseconds. */
const COPY_AFTER_MS = 2000;
/** How long after its last copy a conversation is copied again while an answer is being written in it. */
const STREAMING_EVERY_MS = 60_000;
/** A page that is never idle writes a copy after this time all the same, in milliseconds. */
const PATIENCE_MS = 10_000;

/** Collects the ids of changed conversations, and copies them. */
export class CopyWriter {
  readonly #source: CopySource;
  readonly #changed = new Set<string>();
  /**
   * When an answer's conversation was copied last, or its first change was noticed. From `performance.now()`: the clock
   * of the system may be set back.
   */
  readonly #copiedAt = new Map<string, number>();
  #isScheduled = false;
  /** Something was copied since {@link CopySource.onCopied} was called last. */
  #hasCopied = false;

  constructor(source: CopySource) {
    this.#source = source;
  }

  /** Copies these conversations soon, in this order. */
  copySoon(ids: readonly string[]): void {
    for (const id of ids) {
      this.#changed.add(id);
      if (this.#source.isStreaming(id) && !this.#copiedAt.has(id)) this.#copiedAt.set(id, performance.now());
    }
    if (this.#changed.size > 0) this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setTimeout(() => whenIdle(() => this.#copyNext()), COPY_AFTER_MS);
  }

  /** Copies one conversation. The next one waits until the page is idle again. */
  #copyNext(): void {
    const id = this.#source.isPaused() ? undefined : [...this.#changed].find((changed) => this.#isDue(changed));
    if (id !== undefined) {
      this.#changed.delete(id);
      const conversation = this.#source.get(id);
      if (conversation) storeCopy(conversation);
      if (this.#source.isStreaming(id)) this.#copiedAt.set(id, performance.now());
      else this.#copiedAt.delete(id);
      this.#hasCopied = true;
      whenIdle(() => this.#copyNext());
      return;
    }
    this.#isScheduled = false;
    if (this.#hasCopied) this.#source.onCopied();
    this.#hasCopied = false;
    if (this.#changed.size > 0) this.#schedule();
  }

  #isDue(id: string): boolean {
    const copiedAt = this.#copiedAt.get(id) ?? Number.NEGATIVE_INFINITY;
    return !this.#source.isStreaming(id) || performance.now() - copiedAt >= STREAMING_EVERY_MS;
  }
}

/** Safari has no `requestIdleCallback`. */
function whenIdle(work: () => void): void {
  if ('requestIdleCallback' in globalThis) requestIdleCallback(work, { timeout: PATIENCE_MS });
  else setTimeout(work);
}
