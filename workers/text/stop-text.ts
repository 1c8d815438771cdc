/** Ends an answer before a stop text, even if the stop text is spread over several tokens. */
export interface StopText {
  /**
   * Adds text to the answer.
   * @returns the further text that is certain not to belong to a stop text, and whether a stop text was found
   */
  push(text: string): { text: string; stopped: boolean };
  /** Ends the answer and returns the text that was held back because a stop text could have begun there. */
  flush(): string;
}

/**
 * Creates the search for stop texts in one answer.
 * @param stops texts to stop at; empty texts are ignored
 */
export function createStopText(stops: readonly string[]): StopText {
  const stopTexts = stops.filter((stop) => stop !== '');
  let held = '';
  return {
    push(text) {
      held += text;
      const found = stopTexts.map((stop) => held.indexOf(stop)).filter((at) => at >= 0);
      if (found.length > 0) {
        const before = held.slice(0, Math.min(...found));
        held = '';
        return { text: before, stopped: true };
      }
      const keep = Math.max(0, ...stopTexts.map((stop) => overlap(held, stop)));
      const certain = held.slice(0, held.length - keep);
      held = held.slice(held.length - keep);
      return { text: certain, stopped: false };
    },
    flush() {
      const rest = held;
      held = '';
      return rest;
    },
  };
}

/** Length of the longest suffix of `text` that is a proper prefix of `stop`. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
