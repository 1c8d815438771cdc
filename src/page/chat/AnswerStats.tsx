import type { AnswerStats } from '../state/conversation-tree.ts';

/** Stands for words that are still to come. */
export const Dots = () => (
  <span class="dots" role="img" aria-label="The model is writing">
    <i />
    <i />
    <i />
  </span>
);

/** Tokens, speed and end of an answer, in one line; behind it what the prompt took. */
export function Stats({ stats }: { stats: AnswerStats }) {
  const {
    promptTokens,
    newTokens = promptTokens,
    tokens,
    tokensPerSecond,
    prefillMs,
    hitRate,
    finishReason,
    contextFull,
  } = stats;
  const end =
    finishReason === 'aborted'
      ? ' · stopped'
      : contextFull
        ? ' · context full'
        : finishReason === 'length'
          ? ' · length limit'
          : '';
  return (
    <details class="stats">
      <summary>
        {tokens} tokens · {tokensPerSecond.toFixed(1)} tokens/s · {(hitRate * 100).toFixed(0)} % expert hits{end}
      </summary>
      <p>
        {Math.max(0, promptTokens - newTokens)} of {promptTokens} prompt tokens reused; first word after{' '}
        {(prefillMs / 1000).toFixed(1)} s. Expert hits: how many of the chosen experts were on the GPU already.
      </p>
    </details>
  );
}
