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
  /** Changes when drawing for a view, or in steps, is superseded. */
  #generation = 0;
  #running = false;
  /** The view knows that parts are drawn. */
  #started = false;
  #fromEnd = true;
  /** Where parts are inserted that are above all others; undefined if they are not. */
  #aboveAt: number | undefined;
  /** Where the parts of the part that is being drawn belong; undefined while none is. */
  #insertAt: number | undefined;

  constructor({ nextTask = yieldToBrowser, now = () => performance.now() } = {}) {
    this.#nextTask = nextTask;
    this.#now = now;
  }

  /**
   * Adds a part. If nothing was being drawn, the first step begins as soon as the code that adds parts has ended, before
   * the browser paints.
   */
  add(drawing: Drawing): void {
    if (this.#insertAt !== undefined) this.#waiting.splice(this.#insertAt++, 0, drawing);
    else if (this.#aboveAt !== undefined) this.#waiting.splice(this.#aboveAt++, 0, drawing);
    else this.#waiting.push(drawing);
    this.#begin();
  }

  /** Removes a part, for example because it is no longer on the page. */
  remove(drawing: Drawing): void {
    const index = this.#waiting.indexOf(drawing);
    if (index >= 0) this.#waiting.splice(index, 1);
    if (this.#insertAt !== undefined && index >= 0 && index < this.#insertAt) this.#insertAt--;
  }

  /**
   * The parts that are added until the next step are above the view and all other parts, so the last of them are drawn
   * first.
   */
  expectAbove(): void {
    this.#aboveAt = 0;
    this.#fromEnd = true;
  }

  /** Draws all parts in one task: for printing, which does not wait. */
  async drawAll(): Promise<void> {
    const generation = ++this.#generation;
    this.#running = true;
    this.#aboveAt = undefined;
    const after = this.#view.beforeStep();
    while (generation === this.#generation && this.#waiting.length > 0) await this.#step(Infinity, Infinity);
    after();
    if (generation === this.#generation) this.#finish();
  }

  /**
   * Sets where the parts are shown, when a conversation is opened; without a view when it is left. If parts of it wait
   * already, the first step begins before the browser paints, also while another conversation is being drawn.
   */
  show(view = NO_VIEW): void {
    this.#end();
    this.#view = view;
    this.#aboveAt = undefined;
    this.#generation++;
    this.#running = false;
    if (this.#waiting.length > 0) this.#begin();
    else this.busy.value = false;
  }

  #begin(): void {
    if (this.#running) return;
    this.#running = true;
    const generation = this.#generation;
    queueMicrotask(() => void this.#run(generation));
  }

  async #run(generation: number): Promise<void> {
    let until = Infinity;
    while (generation === this.#generation && this.#waiting.length > 0) {
      if (!this.#started) {
        this.#started = true;
        this.#fromEnd = this.#view.start() || this.#aboveAt !== undefined;
        until = Infinity;
      }
      this.#aboveAt = undefined;
      const after = this.#view.beforeStep();
      await this.#step(STEP_WORK, until);
      after();
      if (generation !== this.#generation) return;
      this.busy.value = this.#waiting.length > 0;
      if (this.#waiting.length === 0) this.#end();
      // Also after the last step: what is added in this task is drawn in the next one.
      await this.#nextTask();
      until = this.#now() + STEP_MS;
    }
    if (generation === this.#generation) this.#finish(); // also if the parts that waited were removed
  }

  #finish(): void {
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
    const generation = this.#generation;
    let work = 0;
    while (generation === this.#generation && this.#waiting.length > 0) {
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

/** What one component has in the queue: at most one part. */
export class QueueEntry {
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
