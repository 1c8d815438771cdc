export interface AttentionShape {
  headCount: number;
  kvHeadCount: number;
  headDim: number;
}

/**
 * Causal grouped-query attention in float64.
 * @param q `[tokens, headCount, headDim]`, at positions `position`, `position + 1` ...
 * @param keys `[positions, kvHeadCount, headDim]`
 * @param values `[positions, kvHeadCount, headDim]`
 * @returns `[tokens, headCount, headDim]`
 */
export function attention(
  q: ArrayLike<number>,
  keys: ArrayLike<number>,
  values: ArrayLike<number>,
  position: number,
  { headCount, kvHeadCount, headDim }: AttentionShape,
): Float64Array {
  const out = new Float64Array(q.length);
  for (let at = 0; at < q.length; at += headDim) {
    const token = Math.floor(at / (headCount * headDim));
    const kvHead = Math.floor(((at / headDim) % headCount) / (headCount / kvHeadCount));
    const row = (p: number): number => (p * kvHeadCount + kvHead) * headDim;

    const scores = Array.from({ length: position + token + 1 }, (_, p) => {
      let dot = 0;
      for (let d = 0; d < headDim; d++) dot += q[at + d] * keys[row(p) + d];
      return dot / Math.sqrt(headDim);
    });
    const largest = scores.reduce((a, b) => Math.max(a, b));
    const exponentials = scores.map((score) => Math.exp(score - largest));
    const sum = exponentials.reduce((a, b) => a + b);
    exponentials.forEach((e, p) => {
      for (let d = 0; d < headDim; d++) out[at + d] += (e / sum) * values[row(p) + d];
    });
  }
  return out;
}
