/** Ends an answer before a stop text, even where the stop text is spread over several tokens. */
export interface StopText {
  /** The part of all text so far that is certain to come before any stop text. */
  push(text: string): { text: string; stopped: boolean };
  /** What was held back, at the end of the answer. */
  flush(): string;
}

/** @param stops texts to stop at; empty ones are ignored */
export function createStopText(stops: readonly string[]): StopText {
  const wanted = stops.filter((stop) => stop !== '');
  let held = '';
  return {
    push(text) {
      held += text;
      const found = wanted.map((stop) => held.indexOf(stop)).filter((at) => at >= 0);
      if (found.length > 0) {
        const before = held.slice(0, Math.min(...found));
        held = '';
        return { text: before, stopped: true };
      }
      const keep = Math.max(0, ...wanted.map((stop) => overlap(held, stop)));
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

/** Length of the longest end of `text` that `stop` begins with. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
