/**
 * Measures how well the model predicts a text, in windows that do not overlap. Exact scoring takes a window through the
 * layers at once. Lossy options depend on which experts are resident, so with them every token is decoded individually.
 */
import type { ScoreRequest, ScoreResult } from '../../src/contract/engine-api.ts';
import { MixtabError, throwIfAborted } from '../../src/contract/errors.ts';
import type { TokenId } from '../../src/contract/ids.ts';
import type { Compute, ScoreWindow } from '../compute/compute.ts';
import { checkFinite } from '../compute/finite.ts';
import { blockCount, blockOf, standardError } from './blocks.ts';
import { setRouterOptions } from './router-options.ts';
import { createTrace, pathCount, type RoutingTrace, recordSelection, routingOf } from './routing.ts';

export interface ScoreInputs {
  compute: Compute;
  /** The whole text, without BOS. */
  tokens: readonly TokenId[];
  /** Begins every window; undefined if the model uses none. */
  bos: TokenId | undefined;
  request: ScoreRequest;
  /** Length of the tokens' text in UTF-8. */
  bytesOf: (tokens: readonly TokenId[]) => number;
  /** Text of each token of a window. A character of several tokens counts as text of the last one. */
  piecesOf: (tokens: readonly TokenId[]) => string[];
  onProgress: (tokensDone: number, tokensTotal: number) => void;
  /** Ends the scoring at the next layer, or while it waits for experts. */
  signal: AbortSignal;
}

/**
 * Measures how well the model predicts a text.
 * @throws MixtabError `bad-request`, `aborted`, `not-finite`, or an error of reading an expert
 */
export async function score(inputs: ScoreInputs): Promise<ScoreResult> {
  const { compute, request } = inputs;
  const windows = windowsOf(inputs);
  const startedAt = performance.now();
  compute.experts.resetCounts();
  setRouterOptions(compute, request);
  const trace = createTrace(
    compute.config,
    windows.reduce((sum, { length }) => sum + length, 0),
  );
  const logprobs = await scoreWindows(inputs, windows, trace);
  const blocks = blocksOf(logprobs, windows, inputs);
  const scored = logprobs.flat().length;
  const nll = -logprobs.flat().reduce((sum, logprob) => sum + logprob, 0);
  const bytes = inputs.bytesOf(windows.flatMap((window) => window.slice(1)));
  return {
    tokens: scored,
    nll: nll / scored,
    perplexity: Math.exp(nll / scored),
    bitsPerByte: nll / Math.LN2 / bytes,
    blocks,
    ...(blocks.length > 1 && { nllError: standardError(blocks.map((block) => block.nll)) }),
    routing: routingOf(trace),
    paths: pathCount(trace),
    cache: compute.experts.report(),
    ...(request.trace && {
      trace: {
        selectedExperts: trace.selectedExperts,
        pieces: windows.flatMap((window) => piecesOf(inputs, window)),
      },
    }),
    seconds: (performance.now() - startedAt) / 1000,
  };
}

/** @returns for each window the log-probabilities of tokens 1, 2, ... */
async function scoreWindows(
  { compute, tokens, request, onProgress, signal }: ScoreInputs,
  windows: readonly TokenId[][],
  trace: RoutingTrace,
): Promise<number[][]> {
  const scorer = compute.createScorer();
  let first = 0;
  const all: number[][] = [];
  try {
    for (const windowTokens of windows) {
      throwIfAborted(signal);
      trace.starts.add(first);
      const offset = first;
      const window: ScoreWindow = {
        tokens: windowTokens,
        signal,
        onSelectedExperts: (token, layer, experts) => recordSelection(trace, offset + token, layer, experts),
      };
      const logprobs = await (request.lossy ? scorer.decode(window) : scorer.prefill(window));
      checkFinite(logprobs);
      all.push(logprobs);
      first += windowTokens.length;
      onProgress(Math.min(first, tokens.length), tokens.length);
    }
  } finally {
    scorer.destroy();
  }
  return all;
}

/** Cuts the text into blocks that do not depend on the windows, and takes the mean of each. */
function blocksOf(
  logprobs: readonly (readonly number[])[],
  windows: readonly TokenId[][],
  { tokens, bos }: ScoreInputs,
): ScoreResult['blocks'] {
  const sums = Array.from({ length: blockCount(tokens.length) }, () => ({ tokens: 0, nll: 0 }));
  let first = 0; // index in the text of the window's first own token
  for (const [w, window] of windows.entries()) {
    const unscored = bos === undefined ? 1 : 0;
    for (const [i, logprob] of logprobs[w].entries()) {
      const block = sums[blockOf(first + unscored + i, tokens.length, sums.length)];
      block.tokens++;
      block.nll -= logprob;
    }
    first += window.length - 1 + unscored;
  }
  return sums.map(({ tokens: count, nll }) => ({ tokens: count, nll: nll / count }));
}

/** What determines the windows of a text. */
export interface WindowInputs {
  compute: Pick<Compute, 'context'>;
  tokens: readonly TokenId[];
  bos: TokenId | undefined;
  request: Pick<ScoreRequest, 'context'>;
}

/** Cuts the text into windows of at least two tokens, each with its own BOS. @throws MixtabError `bad-request` */
export function windowsOf({ compute, tokens, bos, request: { context } }: WindowInputs): TokenId[][] {
  if (!Number.isInteger(context) || context < 2 || context > compute.context) {
    throw new MixtabError(
      'bad-request',
      `The window is ${context} tokens; it must be 2 to ${compute.context}, the size of the loaded context.`,
    );
  }
  const lead = bos === undefined ? [] : [bos];
  const windows: TokenId[][] = [];
  for (let start = 0; start < tokens.length; start += context - lead.length) {
    const window = [...lead, ...tokens.slice(start, start + context - lead.length)];
    if (window.length > 1) windows.push(window);
  }
  if (windows.length === 0) {
    throw new MixtabError('bad-request', 'The text is empty.', 'Give a text of at least two tokens.');
  }
  return windows;
}

/** Text of each token of a window; that of BOS is empty. */
export function piecesOf(inputs: Pick<ScoreInputs, 'bos' | 'piecesOf'>, window: readonly TokenId[]): string[] {
  const lead = inputs.bos === undefined ? [] : [''];
  return [...lead, ...inputs.piecesOf(window.slice(lead.length))];
}
