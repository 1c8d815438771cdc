import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { IconButton } from '../../ui/IconButton.tsx';
import { indexAfterKey } from '../../ui/index-after-key.ts';
import { followPlace, piecesOf } from '../services/answer-tokens.ts';
import { generating } from '../state/generation.ts';
import { loaded } from '../state/models.ts';

/** More tokens would make the page slow. */
const MAX_SHOWN = 4000;

interface Props {
  /** The answer, and the texts that follow it in the conversation; undefined: it is not to be shown as tokens. */
  texts: readonly string[] | undefined;
  /** The answer as text. It stays until the tokens are known, so that nothing below it moves twice. */
  children: ComponentChildren;
}

/** An answer as tokens, or as text. */
export function AnswerTokens({ texts, children }: Props) {
  const pieces = usePieces(texts?.[0]);
  if (texts && pieces && pieces.length > 0) return <Tokens pieces={pieces} later={texts.slice(1)} />;
  return (
    <>
      {children}
      {texts && !pieces && (
        <p class="visually-hidden" role="status">
          Cutting the text into tokens …
        </p>
      )}
    </>
  );
}

/** Tokens. A click on one, or Enter, follows it through the layers of the model. */
function Tokens({ pieces, later }: { pieces: readonly string[]; later: readonly string[] }) {
  const [active, setActive] = useState(0);
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

/** @returns the tokens of a text; undefined until they are known, or without a text */
function usePieces(text: string | undefined): readonly string[] | undefined {
  const [known, setKnown] = useState<{ text: string; pieces: readonly string[] }>();
  useEffect(() => {
    if (text === undefined) return;
    let cancelled = false;
    void piecesOf(text).then((pieces) => {
      if (!cancelled) setKnown({ text, pieces });
    });
    return () => {
      cancelled = true;
    };
  }, [text]);
  return known?.text === text ? known?.pieces : undefined;
}
