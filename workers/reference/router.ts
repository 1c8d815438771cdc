export interface Route {
  /** Best first. */
  selectedExperts: number[];
  /** Softmax over the selected logits; sums to 1. */
  weights: number[];
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
