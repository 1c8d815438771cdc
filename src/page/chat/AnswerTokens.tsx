import { useEffect, useState } from 'preact/hooks';
import { IconButton } from '../../ui/IconButton.tsx';
import { indexAfterKey } from '../../ui/index-after-key.ts';
import { followPlace, piecesOf } from '../services/answer-tokens.ts';
import { generating } from '../state/generation.ts';
import { loaded } from '../state/models.ts';

/** More tokens would make the page slow. */
const MAX_SHOWN = 4000;

interface Props {
  /** The answer, and the texts that follow it in the conversation. */
  texts: readonly string[];
}

/** An answer as tokens. A click on one, or Enter, follows it through the layers of the model. */
export function AnswerTokens({ texts: [text, ...later] }: Props) {
  const pieces = usePieces(text);
  const [active, setActive] = useState(0);
  if (!pieces) return <p class="hint">Cutting the text into tokens …</p>;
  const shown = pieces.slice(0, MAX_SHOWN);
  const follow = (token: number): void =>
    followPlace({ texts: [pieces.join(''), ...later], offset: pieces.slice(0, token).join('').length });
  const move = (event: KeyboardEvent): void => {
    if (event.key === 'Enter') follow(active);
    const next = indexAfterKey(event.key, active, shown.length - 1);
    if (next === undefined) return;
    event.preventDefault();
    setActive(next);
  };
  return (
    <>
      <p class="hint">
        Click a token, or press Enter on it, to see which experts it is sent to, layer by layer. For that the model
        reads the conversation again.
      </p>
      <div
        class="answer-tokens plain"
        role="listbox"
        tabIndex={0}
        aria-label="Tokens of the answer"
        aria-activedescendant={`answer-token-${active}`}
        onKeyDown={move}
      >
        {shown.map((piece, token) => (
          // biome-ignore lint/a11y/useFocusableInteractive: the list has the focus and points to the active option
          // biome-ignore lint/a11y/useKeyWithClickEvents: the list takes the keys
          <span
            key={token}
            id={`answer-token-${token}`}
            role="option"
            aria-selected={token === active}
            aria-label={piece.trim() || 'white space'}
            onClick={() => follow(token)}
          >
            {piece}
          </span>
        ))}
      </div>
      {pieces.length > MAX_SHOWN && <p class="hint">The first {MAX_SHOWN} tokens.</p>}
    </>
  );
}

/** Shows an answer as tokens, or as text again. */
export const TokensButton = ({ shown, onClick }: { shown: boolean; onClick: () => void }) => (
  <IconButton
    icon="tokens"
    label={shown ? 'Show text' : 'Show tokens'}
    disabled={!loaded.value || generating.value}
    onClick={onClick}
  />
);

/** @returns the tokens of a text; undefined until they are known */
function usePieces(text: string): readonly string[] | undefined {
  const [pieces, setPieces] = useState<readonly string[] | undefined>(undefined);
  useEffect(() => {
    let cancelled = false;
    void piecesOf(text).then((known) => {
      if (!cancelled) setPieces(known);
    });
    return () => {
      cancelled = true;
    };
  }, [text]);
  return pieces;
}
