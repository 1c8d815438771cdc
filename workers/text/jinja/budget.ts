/**
 * The budget of rendering a chat template. A hostile model file could otherwise occupy the worker forever, which cannot
 * be interrupted while it renders, or take all memory.
 *
 * Every operation pays before it runs, for what it is about to do: a list that contains lists pays for each value that
 * is visited. So nesting cannot pass the budget. It counts work instead of reading a clock, so a template that renders
 * here renders on every device.
 */

/** Operations of one rendering. Attack: nested loops. Takes about a second; real templates need some thousands. */
const MAX_STEPS = 2_000_000;
/**
 * Characters that one rendering may make, garbage included, so it bounds the memory to about 50 MB. Attack: a loop that
 * doubles a text. Real templates make a few times the text of the conversation, which is less than a million.
 */
const MAX_CHARACTERS = 24_000_000;
/** What an item of a list costs, in characters: about as much memory. */
const ITEM_CHARACTERS = 32;
/** Characters that are searched or compared in the time of one operation. They are copied twice as fast. */
const CHARACTERS_PER_STEP = 8;
/** Macros that call each other, and lists in lists. Attack: endless recursion. Real templates use less than ten. */
const MAX_DEPTH = 100;

/** What the rendering of one conversation may still do. All attempts to render it share one budget. */
export class Budget {
  #steps: number;
  #characters: number;
  #depth = 0;

  constructor(steps = MAX_STEPS, characters = MAX_CHARACTERS) {
    this.#steps = steps;
    this.#characters = characters;
  }

  /** Pays for operations. @throws Error if the budget is used up */
  step(count = 1): void {
    this.#steps -= count;
    if (!(this.#steps >= 0)) throw new Error('it takes too long');
  }

  /** Pays for reading a text. @throws Error if the budget is used up */
  scan(characters: number): void {
    this.step(1 + characters / CHARACTERS_PER_STEP);
  }

  /** Pays for making a text. @throws Error if the budget is used up */
  allocate(characters: number): void {
    this.#characters -= characters;
    if (!(this.#characters >= 0)) throw new Error('it makes too many characters of text, or lists that are too long');
    this.scan(characters / 2);
  }

  /** Pays for making a list. @throws Error if the budget is used up */
  allocateItems(count: number): void {
    this.allocate(count * ITEM_CHARACTERS);
  }

  /** Runs something that may contain itself. @throws Error if it does so too often */
  nested<T>(work: () => T): T {
    if (this.#depth >= MAX_DEPTH) throw new Error('it is nested too deeply');
    this.#depth++;
    try {
      return work();
    } finally {
      this.#depth--;
    }
  }
}
