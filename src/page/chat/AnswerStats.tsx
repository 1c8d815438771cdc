import type { AnswerStats } from '../state/conversation-tree.ts';

/** Animated dots in place of text that is still being generated. */
export const Dots = () => (
  <span class="dots" role="img" aria-label="The model is writing">
    <i />
    <i />
    <i />
  </span>
);

/** One line about an answer: tokens, speed and why it ended. Expanding it shows the cost of the prompt. */
export function Stats({ stats }: { stats: AnswerStats }) {
  const { promptTokens, newTokens = promptTokens, tokens, tokensPerSecond, prefillMs, hitRate } = stats;
  return (
    <details class="stats">
      <summary>
        {tokens} tokens · {tokensPerSecond.toFixed(1)} tokens/s · {(hitRate * 100).toFixed(0)}% expert hits
        {endingOf(stats)}
      </summary>
      <p>
        {Math.max(0, promptTokens - newTokens)} of {promptTokens} prompt tokens reused, first token after{' '}
        {(prefillMs / 1000).toFixed(1)} s. Expert hits: the share of selected experts that did not have to be loaded
        first.
      </p>
    </details>
  );
}

/** Why the answer ended, if the model did not end it itself. */
function endingOf({ finishReason, contextFull }: AnswerStats): string {
  if (finishReason === 'aborted') return ' · stopped';
  if (contextFull) return ' · context full';
  return finishReason === 'length' ? ' · length limit' : '';
}
