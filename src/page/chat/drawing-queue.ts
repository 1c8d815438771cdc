/**
 * Draws long conversations in steps, so that no task of the page does more than a bounded amount of drawing. Components
 * wait in the order of the page. They are drawn from that end of the queue where the reader is.
 */
import { signal } from '@preact/signals';

/**
 * Work of one step, in characters of prose. A step always draws at least one part, so its work is at most this or that
 * of the largest part.
 */
export const STEP_WORK = 6000;
/** A step after the first one also ends after this time, so that slow machines draw less per task. */
const STEP_MS = 16;
/** Work of a line or a cell besides its characters: it becomes elements of its own. */
const ELEMENT_WORK = 20;
/** Plain text takes about a twentieth of the time that Markdown takes. */
const PLAIN_WORK = 1 / 20;

/** A part of the page that is drawn once it is its turn. */
export interface Drawing {
  /** In characters of prose. */
  readonly work: number;
  /** Called once, unless it was removed before. */
  draw(): void;
}

/** The work of drawing Markdown or code. */
export function markdownWork(source: string): number {
  let elements = 0;
  for (let at = 0; at < source.length; at++) {
    const code = source.charCodeAt(at);
    if (code === 10 || code === 124) elements++; // a line break, or the border of a cell
  }
  return source.length + ELEMENT_WORK * elements;
}

/** The work of drawing text as it is. */
export const plainWork = (text: string): number => text.length * PLAIN_WORK;

/** What the queue has to know of the view, and the other way round. */
export interface DrawingView {
  /** Called before the first step. @returns whether the reader is at the end of the page */
  start(): boolean;
  /** Called before each step. @returns what to do after the step */
  beforeStep(): () => void;
  /** Called after the last step. */
  end(): void;
}

const NO_VIEW: DrawingView = { start: () => true, beforeStep: () => () => {}, end: () => {} };

/** Parts that wait to be drawn. */
export class DrawingQueue {
  /** Parts still wait after the first step. Can be given to an attribute. */
  readonly busy = signal(false);
  #view = NO_VIEW;
  /** In the order of the page. */
  readonly #waiting: Drawing[] = [];
  readonly #nextTask: () => Promise<void>;
  readonly #now: () => number;
  #running = false;
  /** The view knows that parts are drawn. */
  #started = false;
  #fromEnd = true;
  #addedAbove = false;
  /** Where the parts of the part that is being drawn belong; undefined while none is. */
  #insertAt: number | undefined;

  constructor({ nextTask = yieldToBrowser, now = () => performance.now() } = {}) {
    this.#nextTask = nextTask;
    this.#now = now;
  }

  /** Adds a part. The first step begins as soon as the code that adds parts has ended, before the browser paints. */
  add(drawing: Drawing): void {
    if (this.#insertAt === undefined) this.#waiting.push(drawing);
    else this.#waiting.splice(this.#insertAt++, 0, drawing);
    if (this.#running) return;
    this.#running = true;
    queueMicrotask(() => void this.#run());
  }

  /** Removes a part, for example because it is no longer on the page. */
  remove(drawing: Drawing): void {
    const index = this.#waiting.indexOf(drawing);
    if (index >= 0) this.#waiting.splice(index, 1);
    if (this.#insertAt !== undefined && index >= 0 && index < this.#insertAt) this.#insertAt--;
  }

  /** The parts that are added next are above what the reader sees, so the last of them are drawn first. */
  expectAbove(): void {
    this.#addedAbove = true;
  }

  /** Draws all parts in one task: for printing, which does not wait. */
  async drawAll(): Promise<void> {
    while (this.#waiting.length > 0) await this.#step(Infinity, Infinity);
  }

  /** Sets where the parts are shown. Call it before a conversation is drawn; without a view after it was shown. */
  show(view = NO_VIEW): void {
    this.#end();
    this.#view = view;
  }

  async #run(): Promise<void> {
    let until = Infinity;
    while (this.#waiting.length > 0) {
      if (!this.#started) {
        this.#started = true;
        this.#fromEnd = this.#view.start() || this.#addedAbove;
        this.#addedAbove = false;
        until = Infinity;
      }
      const after = this.#view.beforeStep();
      await this.#step(STEP_WORK, until);
      after();
      this.busy.value = this.#waiting.length > 0;
      if (this.#waiting.length === 0) this.#end();
      // Also after the last step: what is added in this task is drawn in the next one.
      await this.#nextTask();
      until = this.#now() + STEP_MS;
    }
    // The parts that waited may have been removed.
    this.#end();
    this.busy.value = false;
    this.#running = false;
  }

  #end(): void {
    if (this.#started) this.#view.end();
    this.#started = false;
  }

  /** Draws parts until their work exceeds `limit`, or it is later than `until`. Drawing one may add others. */
  async #step(limit: number, until: number): Promise<void> {
    let work = 0;
    while (this.#waiting.length > 0) {
      const index = this.#fromEnd ? this.#waiting.length - 1 : 0;
      const next = this.#waiting[index];
      if (work > 0 && (work + next.work > limit || this.#now() >= until)) return;
      this.#waiting.splice(index, 1);
      work += next.work;
      this.#insertAt = index;
      next.draw();
      await Promise.resolve(); // Preact renders in a microtask
      this.#insertAt = undefined;
    }
  }
}

/**
 * Resolves in another task, after the browser had the chance to handle input and to paint. Rejected: `scheduler.yield`,
 * which would also precede tokens and timers; requestIdleCallback, which Safari lacks; animation frames, which a hidden
 * page does not get.
 */
function yieldToBrowser(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}

/** Everything that the chat draws in steps. */
export const drawing = new DrawingQueue();

/** The place of one component in the queue, which has at most one. */
export class Turn {
  #waiting: Drawing | undefined;

  /** Calls `draw` once it is its turn, unless it waits already. */
  await(work: number, draw: () => void): void {
    if (this.#waiting) return;
    const onTurn = (): void => {
      this.#waiting = undefined;
      draw();
    };
    this.#waiting = { work, draw: onTurn };
    drawing.add(this.#waiting);
  }

  /** Call it when the component leaves the page. */
  cancel(): void {
    if (this.#waiting) drawing.remove(this.#waiting);
    this.#waiting = undefined;
  }
}
