/**
 * Steps of a compute thread through shared memory, for pages that are isolated from other origins. A step then costs a
 * few microseconds instead of the thirty and more of two messages. Models stay in the threads' own memories; only inputs
 * and outputs are shared.
 *
 * Messages remain for everything else. A thread that waits for a step in shared memory cannot handle messages, so each
 * side counts them: a thread whose next message is on its way goes back to its event loop, and a step is executed only
 * after the messages that were posted before it.
 */
import type { SlotRows } from './compute-thread.ts';

/** What a step gets: numbers that are integers, arrays of floats, and rows for slots. */
export type StepArgument = number | boolean | Float32Array | readonly SlotRows[];

/** Number of a step that does nothing. */
export const PING = -1;

/** Whether shared memory exists here: the page is isolated from other origins (COOP and COEP). */
export const hasSharedMemory = (): boolean =>
  typeof SharedArrayBuffer !== 'undefined' &&
  (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === true;

/** Indices of the control words. */
const Word = {
  /** Changes with each request and each message, so that the thread looks. */
  bell: 0,
  /** Number of the newest request. */
  requested: 1,
  /** Number of the newest request that was answered. */
  answered: 2,
  /** 1 while the thread looks at the bell. */
  attending: 3,
  /** Messages posted to the thread so far. */
  posted: 4,
  /** Messages that were posted before the newest request. */
  postedBefore: 5,
  /** Floats of the newest answer. */
  answerLength: 6,
  /** 1 while the thread sleeps until the bell changes. */
  bellSleep: 7,
  /** 1 while the caller sleeps until its request is answered. */
  answerSleep: 8,
  /** The arguments of the newest request follow. */
  request: 16,
} as const;
/** Control words in all. The words of a request are a few per argument and two per slot. */
const WORDS = 1024;
/** How an argument is encoded in the words. Floats are in `input`, one array after another. */
const Tag = { number: 0, boolean: 1, floats: 2, rows: 3 } as const;

/**
 * A side looks at the memory for this long before it sleeps, in milliseconds. Waking one that sleeps costs both 10
 * microseconds and more. Longer than a tick of the system's clock: a system may put both threads on one processor, and
 * moves one of them at its next tick, but only if both want to run. If they sleep instead, they wake each other there
 * again and again.
 */
const LONG_LOOK_MS = 5;
/** After a long look in vain, because the other side has no processor or waits for an expert, a side looks for less. */
const SHORT_LOOK_MS = 0.3;
/** For this long. */
const IMPATIENCE_MS = 1000;
/** Looks between two glances at the clock, which takes as long as some dozens of them. */
const LOOKS = 100;
/**
 * The most glances of a long look. A coarse clock may stand still for 16 or 100 ms, and this many take 5 to 30 ms. With
 * other clocks {@link LONG_LOOK_MS} is over first.
 */
const GLANCES = 5000;
/** Between two looks. Without it, a thread that looks slows down another one on the same core. */
const pause: () => void = (Atomics as { pause?: () => void }).pause ?? (() => {});
/** A thread without work goes back to its event loop after this many milliseconds. */
const ATTENTION_MS = 100;

/** The shared memory of one thread. Both sides create this object over the same buffer. */
class Exchange {
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly input: Float32Array<SharedArrayBuffer>;
  readonly output: Float32Array<SharedArrayBuffer>;
  /** When this side becomes patient again, by its clock. */
  #impatientUntil = 0;

  constructor(readonly buffer: SharedArrayBuffer) {
    const floats = (buffer.byteLength / 4 - WORDS) / 2;
    this.words = new Int32Array(buffer, 0, WORDS);
    this.input = new Float32Array(buffer, WORDS * 4, floats);
    this.output = new Float32Array(buffer, (WORDS + floats) * 4, floats);
  }

  load(word: number): number {
    return Atomics.load(this.words, word);
  }

  store(word: number, value: number): void {
    Atomics.store(this.words, word, value);
  }

  /** @param sleepWord is 1 meanwhile if this side sleeps @returns whether the word is no longer `value` */
  waitWhile(word: number, value: number, sleepWord: number, milliseconds: number): boolean {
    if (this.#lookWhile(word, value)) return true;
    this.store(sleepWord, 1);
    const isTimedOut = Atomics.wait(this.words, word, value, milliseconds) === 'timed-out';
    this.store(sleepWord, 0);
    return !isTimedOut;
  }

  /** To be called when no work is expected: that the other side took its time says nothing about the next work. */
  becomePatient(): void {
    this.#impatientUntil = 0;
  }

  /** Looks for a while. @returns whether the word is no longer `value` */
  #lookWhile(word: number, value: number): boolean {
    const start = performance.now();
    const isPatient = start >= this.#impatientUntil;
    const end = start + (isPatient ? LONG_LOOK_MS : SHORT_LOOK_MS);
    const glances = isPatient ? GLANCES : (GLANCES * SHORT_LOOK_MS) / LONG_LOOK_MS;
    for (let glance = 0; glance < glances; glance++) {
      for (let look = 0; look < LOOKS; look++) {
        if (Atomics.load(this.words, word) !== value) return true;
        pause();
      }
      if (performance.now() >= end) break;
    }
    if (isPatient) this.#impatientUntil = start + IMPATIENCE_MS;
    return false;
  }

  /** Wakes the other side if it sleeps until the word changes. To be called after the change. */
  wake(word: number, sleepWord: number): void {
    if (this.load(sleepWord) === 1) Atomics.notify(this.words, word);
  }
}

/** The engine worker's side. */
export class ExchangeCaller {
  readonly #exchange: Exchange;
  #requests = 0;
  #posted = 0;

  /**
   * @param floats that the inputs or the output of a step have at most
   * @throws RangeError if there is no memory
   */
  constructor(floats: number) {
    this.#exchange = new Exchange(new SharedArrayBuffer((WORDS + 2 * floats) * 4));
  }

  /** To be sent to the thread. */
  get buffer(): SharedArrayBuffer {
    return this.#exchange.buffer;
  }

  /** To be called after each message to the thread: makes it leave the shared memory to handle the message. */
  messagePosted(): void {
    this.#exchange.store(Word.posted, ++this.#posted);
    this.#ring();
  }

  /**
   * Starts a step. The one before must have ended.
   * @returns whether the thread is in its event loop and needs a message to notice
   */
  request(step: number, args: readonly StepArgument[]): { needsMessage: boolean } {
    writeRequest(this.#exchange, step, args);
    this.#exchange.store(Word.postedBefore, this.#posted);
    this.#exchange.store(Word.requested, ++this.#requests);
    this.#ring();
    return { needsMessage: this.#exchange.load(Word.attending) === 0 };
  }

  /**
   * Blocks until the step has ended, for a while.
   * @returns its output, which is valid until the next step; undefined if it has not ended
   */
  answer(milliseconds: number): Float32Array | undefined {
    const exchange = this.#exchange;
    const isAnswered = (): boolean => exchange.load(Word.answered) === this.#requests;
    if (!isAnswered()) exchange.waitWhile(Word.answered, this.#requests - 1, Word.answerSleep, milliseconds);
    return isAnswered() ? exchange.output.subarray(0, exchange.load(Word.answerLength)) : undefined;
  }

  #ring(): void {
    Atomics.add(this.#exchange.words, Word.bell, 1);
    this.#exchange.wake(Word.bell, Word.bellSleep);
  }
}

/** The compute thread's side. */
export class ExchangeServer {
  readonly #exchange: Exchange;

  /** @param execute runs a step; what it throws is thrown by {@link attend} */
  constructor(
    buffer: SharedArrayBuffer,
    private readonly execute: (step: number, args: StepArgument[]) => Float32Array,
  ) {
    this.#exchange = new Exchange(buffer);
  }

  /**
   * Executes steps until a message is on its way, or until nothing happened for a while. To be called after each message.
   * @param received messages that this thread has handled so far
   */
  attend(received: number): void {
    const exchange = this.#exchange;
    do {
      exchange.store(Word.attending, 1);
      this.#answerUntilIdle(received);
      exchange.store(Word.attending, 0);
      // A request that came just now saw this thread attending, and sent no message.
    } while (this.#isRequested(received));
  }

  #answerUntilIdle(received: number): void {
    const exchange = this.#exchange;
    for (;;) {
      const bell = exchange.load(Word.bell);
      if (this.#isRequested(received)) this.#answer();
      else if (exchange.load(Word.posted) > received) return;
      else if (!exchange.waitWhile(Word.bell, bell, Word.bellSleep, ATTENTION_MS)) {
        exchange.becomePatient();
        return;
      }
    }
  }

  /** Whether there is a step to execute, and no message to handle before it. */
  #isRequested(received: number): boolean {
    const exchange = this.#exchange;
    if (exchange.load(Word.requested) === exchange.load(Word.answered)) return false;
    return exchange.load(Word.postedBefore) <= received;
  }

  #answer(): void {
    const exchange = this.#exchange;
    const { step, args } = readRequest(exchange);
    const output = this.execute(step, args);
    exchange.output.set(output);
    exchange.store(Word.answerLength, output.length);
    exchange.store(Word.answered, exchange.load(Word.requested));
    exchange.wake(Word.answered, Word.answerSleep);
  }
}

function writeRequest({ words, input }: Exchange, step: number, args: readonly StepArgument[]): void {
  let word: number = Word.request;
  let floats = 0;
  words[word++] = step;
  words[word++] = args.length;
  for (const arg of args) {
    if (typeof arg === 'number') {
      words[word++] = Tag.number;
      words[word++] = arg;
    } else if (typeof arg === 'boolean') {
      words[word++] = Tag.boolean;
      words[word++] = Number(arg);
    } else if (arg instanceof Float32Array) {
      words[word++] = Tag.floats;
      words[word++] = arg.length;
      input.set(arg, floats);
      floats += arg.length;
    } else {
      words[word++] = Tag.rows;
      words[word++] = arg.length;
      for (const { slot, count } of arg) {
        words[word++] = slot;
        words[word++] = count;
      }
    }
  }
  if (word > WORDS) throw new RangeError(`a step for ${args.length} arguments needs ${word} words`);
}

function readRequest({ words, input }: Exchange): { step: number; args: StepArgument[] } {
  let word: number = Word.request;
  let floats = 0;
  const step = words[word++];
  const args: StepArgument[] = new Array(words[word++]);
  for (let i = 0; i < args.length; i++) {
    const tag = words[word++];
    const value = words[word++];
    if (tag === Tag.number) args[i] = value;
    else if (tag === Tag.boolean) args[i] = value === 1;
    else if (tag === Tag.floats) {
      args[i] = input.subarray(floats, floats + value);
      floats += value;
    } else {
      args[i] = Array.from({ length: value }, () => ({ slot: words[word++], count: words[word++] }));
    }
  }
  return { step, args };
}
