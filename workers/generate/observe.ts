/**
 * Observes one token of a text on its way through the layers: what the router says, what attention and each expert add,
 * and what the model would predict after each layer. The text before the token is computed as a prompt.
 */
import type { Observation, ObservedLayer, ObserveRequest } from '../../src/contract/engine-api.ts';
import { MixtabError } from '../../src/contract/errors.ts';
import { type TokenId, tokenId } from '../../src/contract/ids.ts';
import { type Compute, type LayerActivations, MAX_TOP } from '../compute/compute.ts';
import { checkFinite } from '../compute/finite.ts';
import { logSumOf } from '../compute/log-sum.ts';
import { setRouterOptions } from './router-options.ts';
import { piecesOf, windowsOf } from './score.ts';

const DEFAULT_TOP = 5;

export interface ObserveInputs {
  compute: Compute;
  /** The whole text, without BOS. */
  tokens: readonly TokenId[];
  /** Begins every window; undefined if the model uses none. */
  bos: TokenId | undefined;
  request: ObserveRequest;
  /** Text of each token of a window. */
  piecesOf: (tokens: readonly TokenId[]) => string[];
  /** Text of a single token. */
  textOf: (token: TokenId) => string;
  onProgress: (tokensDone: number, tokensTotal: number) => void;
  signal: AbortSignal;
}

/**
 * Observes one token. The KV cache holds the window up to this token afterwards.
 * @throws MixtabError `bad-request`, `aborted`, `not-finite`, or an error of reading an expert
 */
export async function observe(inputs: ObserveInputs): Promise<Observation> {
  const { compute, request, onProgress, signal } = inputs;
  const { top = DEFAULT_TOP } = request;
  if (!Number.isInteger(top) || top < 1 || top > MAX_TOP) {
    throw new MixtabError('bad-request', `${top} likeliest tokens are not possible.`, `Use 1 to ${MAX_TOP}.`);
  }
  const { window, position } = windowWith(windowsOf(inputs), request.token);
  compute.experts.resetCounts();
  setRouterOptions(compute, request);
  const total = position + 1;
  const report = (tokensDone: number): void => onProgress(tokensDone, total);
  if (position > 0) {
    await compute.prefill({ tokens: window.slice(0, position), position: 0, onProgress: report, signal });
  }
  const next = window.at(position + 1);
  const layers: ObservedLayer[] = [];
  await compute.observe({
    token: window[position],
    position,
    signal,
    onLayer: (activations) => layers.push(describeLayer(activations, { top, next, textOf: inputs.textOf })),
  });
  report(total);
  const pieces = piecesOf(inputs, window);
  return { position, piece: pieces[position], ...(next !== undefined && { nextPiece: pieces[position + 1] }), layers };
}

/** The window that holds a token, and the token's position in it. @throws MixtabError `bad-request` */
function windowWith(windows: readonly TokenId[][], token: number): { window: TokenId[]; position: number } {
  let first = 0;
  for (const window of windows) {
    if (Number.isInteger(token) && token >= first && token < first + window.length) {
      return { window, position: token - first };
    }
    first += window.length;
  }
  throw new MixtabError('bad-request', `There is no token ${token}.`, `Choose one of 0 to ${first - 1}.`);
}

interface Names {
  top: number;
  next: TokenId | undefined;
  textOf: (token: TokenId) => string;
}

/** Reduces the activations of a layer to what is shown. @throws MixtabError `not-finite` */
function describeLayer(activations: LayerActivations, { top, next, textOf }: Names): ObservedLayer {
  const { before, attended, residual, experts, logits, weights, routerLogits, selectedExperts } = activations;
  checkFinite(residual);
  checkFinite(logits);
  const width = residual.length;
  const logSum = logSumOf(logits);
  return {
    routerLogits: [...routerLogits],
    selectedExperts: [...selectedExperts],
    weights: [...weights],
    before: lengthOf(before),
    attention: lengthOf(Float64Array.from(attended, (value, i) => value - before[i])),
    experts: Array.from(selectedExperts, (_, rank) => lengthOf(experts.subarray(rank * width, (rank + 1) * width))),
    residual: lengthOf(residual),
    top: largest(logits, top).map((id) => ({ id, logprob: logits[id] - logSum, text: textOf(id) })),
    ...(next !== undefined && { next: { logprob: logits[next] - logSum, rank: likelierThan(logits, next) } }),
  };
}

function lengthOf(vector: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < vector.length; i++) sum += vector[i] ** 2;
  return Math.sqrt(sum);
}

/** The tokens with the largest logits, largest first; of equal ones the lower id comes first. */
function largest(logits: Float32Array, count: number): TokenId[] {
  const best: number[] = [];
  for (let id = 0; id < logits.length; id++) {
    if (best.length === count && logits[best[count - 1]] >= logits[id]) continue;
    let at = best.length;
    while (at > 0 && logits[best[at - 1]] < logits[id]) at--;
    best.splice(at, 0, id);
    if (best.length > count) best.pop();
  }
  return best.map(tokenId);
}

/** How many tokens have a larger logit. */
function likelierThan(logits: Float32Array, token: TokenId): number {
  let rank = 0;
  for (const logit of logits) if (logit > logits[token]) rank++;
  return rank;
}
