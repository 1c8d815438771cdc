/** Writes changed conversations to the store, one transaction at a time, until all of them are stored. */
import type { ConversationStore, SaveResult } from './conversation-store.ts';
import { notAnswering, SLOW_MS } from './patient-read.ts';

type Store = Pick<ConversationStore, 'save' | 'hasLostWrites'>;

/** What the writer reports. */
export interface WriterEvents {
  /** A transaction is committed. */
  onSaved(result: SaveResult): void;
  /** Something is not stored; undefined: everything is. */
  onFailure(error: Error | undefined): void;
  /** The database has not answered for a while. @param ids conversations that it was to store */
  onSlow(error: Error, ids: readonly string[]): void;
}

/** A failed write is repeated after this time, in milliseconds. */
const RETRY_MS = 10_000;

/** Collects the ids of changed conversations, and stores them. */
export class ConversationWriter {
  readonly #store: Store;
  readonly #events: WriterEvents;
  /** Ids of conversations whose newest state may not be stored. */
  readonly #changed = new Set<string>();
  /** The database may have been deleted: a transaction has to find out. */
  #suspicious = false;
  #running: Promise<void> | undefined;
  #checking: Promise<void> | undefined;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(store: Store, events: WriterEvents) {
    this.#store = store;
    this.#events = events;
  }

  /** Stores the state that a conversation has in memory when the transaction runs. Never rejects. */
  save(...ids: string[]): Promise<void> {
    for (const id of ids) this.#changed.add(id);
    return this.flush();
  }

  /** Stores everything that is not stored yet. Never rejects. */
  flush(): Promise<void> {
    clearTimeout(this.#retryTimer);
    this.#running ??= this.#run().then((error) => {
      this.#running = undefined; // before the report, whose listener may try again at once
      if (error) this.#retryTimer = setTimeout(() => void this.flush(), RETRY_MS);
      this.#events.onFailure(error);
    });
    return this.#running;
  }

  /** Checks whether the database has lost what was stored, and stores it again. Never rejects. */
  check(): Promise<void> {
    this.#checking ??= this.#check().finally(() => (this.#checking = undefined));
    return this.#checking;
  }

  async #check(): Promise<void> {
    // A database that cannot even be read is no proof: the write fails too, and reports it.
    if (!(await this.#store.hasLostWrites().catch(() => true))) return;
    this.#suspicious = true;
    await this.flush();
  }

  /** @returns why the newest changes could not be stored; undefined if they are */
  async #run(): Promise<Error | undefined> {
    while (this.#changed.size > 0 || this.#suspicious) {
      const ids = [...this.#changed];
      this.#changed.clear(); // a change from now on is stored by the next transaction
      const slow = setTimeout(() => this.#events.onSlow(notAnswering(SLOW_MS), ids), SLOW_MS);
      try {
        const result = await this.#store.save(ids);
        this.#suspicious = false;
        this.#events.onSaved(result);
      } catch (error) {
        for (const id of ids) this.#changed.add(id);
        return error instanceof Error ? error : new Error(String(error));
      } finally {
        clearTimeout(slow);
      }
    }
    return undefined;
  }
}
