import { threefry2x32 } from './sample.ts';

export interface Route {
  /** Best first. */
  selectedExperts: number[];
  /** Softmax over the selected logits; sums to 1. */
  weights: number[];
}

/** What changes the selection of one token in one layer. */
export interface RouteChange {
  /** The experts from which to select, best first; default: by their logits. */
  order?: readonly number[];
  /** Ranks that are used, from the first to before the last; default: 0 to `expertsPerToken`. */
  ranks?: readonly [number, number];
  /** The expert that computes in place of a selected one. */
  standIn?: (expert: number) => number;
}

/** The experts by their logits plus noise: standard deviation, seed, and where the token is. Best first. */
export function noisyOrder(
  logits: ArrayLike<number>,
  { amount, seed, layer, position }: { amount: number; seed: number; layer: number; position: number },
): number[] {
  const noisy = Array.from(logits, (logit, expert) => {
    const bytes = new Uint8Array(Uint32Array.from(threefry2x32([seed, layer], [position, expert])).buffer);
    // The sum of eight numbers that are 0 to 255 with equal probability: mean 1020, variance 8 * 65535 / 12.
    const normal = (bytes.reduce((sum, byte) => sum + byte, 0) - 1020) / Math.sqrt(43690);
    return logit + amount * normal;
  });
  return route(noisy, noisy.length).selectedExperts;
}

/** Selects experts after a change. The weights are the softmax over the logits of those that are used. */
export function changedRoute(
  logits: ArrayLike<number>,
  expertsPerToken: number,
  { order = route(logits, logits.length).selectedExperts, ranks, standIn = (expert) => expert }: RouteChange,
): Route {
  const used = order.slice(...(ranks ?? [0, expertsPerToken]));
  const largest = Math.max(...used.map((expert) => logits[expert]));
  const exponentials = used.map((expert) => Math.exp(logits[expert] - largest));
  const sum = exponentials.reduce((a, b) => a + b);
  return { selectedExperts: used.map(standIn), weights: exponentials.map((e) => e / sum) };
}

/**
 * Selects the `expertsPerToken` experts with the largest logits of one token. Of equal logits the lower index comes
 * first, NaN last.
 */
export function route(logits: ArrayLike<number>, expertsPerToken: number): Route {
  const rank = (x: number): number => (Number.isNaN(x) ? Number.NEGATIVE_INFINITY : x);
  const byNaN = (a: number, b: number): number => Number(Number.isNaN(logits[a])) - Number(Number.isNaN(logits[b]));
  const order = Array.from({ length: logits.length }, (_, expert) => expert).sort(
    (a, b) => byNaN(a, b) || (rank(logits[a]) === rank(logits[b]) ? a - b : rank(logits[b]) - rank(logits[a])),
  );
  const selectedExperts = order.slice(0, expertsPerToken);
  const exponentials = selectedExperts.map((expert) => Math.exp(logits[expert] - logits[selectedExperts[0]]));
  const sum = exponentials.reduce((a, b) => a + b);
  return { selectedExperts, weights: exponentials.map((e) => e / sum) };
}
