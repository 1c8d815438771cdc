import { useEffect, useMemo, useState } from 'preact/hooks';
import type { ScoreResult } from '../../contract/engine-api.ts';
import { spoken, tokensAt, visible } from './routing.ts';

/** More would make the page slow. */
const MOST_SHOWN = 4000;

interface Props {
  trace: NonNullable<ScoreResult['trace']>;
  layer: number;
  layerCount: number;
  /** CSS colour of each expert. */
  colours: string[];
  /** Whether each token carries the number of its expert. */
  numbers: boolean;
}

/** The text, each token coloured by its first choice. Pointer or arrow keys pick a token, whose experts are said below. */
export function TokenText({ trace, layer, layerCount, colours, numbers }: Props) {
  const [active, setActive] = useState<number | undefined>(undefined);
  const tokens = useMemo(() => tokensAt(trace, layer, layerCount).slice(0, MOST_SHOWN), [trace, layer]);
  // The same nodes while only the active token changes: thousands need not be compared again.
  const drawn = useMemo(
    () =>
      tokens.map((token, i) => (
        // biome-ignore lint/a11y/useFocusableInteractive: the list has the focus and names the active option
        <span
          key={i}
          id={`token-${i}`}
          data-token={i}
          role="option"
          aria-selected="false"
          aria-label={spoken(token)}
          style={{ background: colours[token.experts[0]] }}
        >
          {visible(token.text).replace(/\n$/, '')}
          {numbers && <sub aria-hidden="true">{token.experts[0]}</sub>}
          {token.text.endsWith('\n') && '\n'}
        </span>
      )),
    [tokens, numbers, colours.length],
  );
  useEffect(() => {
    const option = active === undefined ? null : document.getElementById(`token-${active}`);
    option?.setAttribute('aria-selected', 'true');
    return () => option?.setAttribute('aria-selected', 'false');
  }, [active, drawn]);
  const move = (event: KeyboardEvent): void => {
    const from = active ?? -1;
    const next = {
      ArrowRight: from + 1,
      ArrowDown: from + 1,
      ArrowLeft: from - 1,
      ArrowUp: from - 1,
      Home: 0,
      End: tokens.length - 1,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const to = Math.min(tokens.length - 1, Math.max(0, next));
    setActive(to);
    document.getElementById(`token-${to}`)?.scrollIntoView({ block: 'nearest' });
  };
  const point = ({ target }: Event): void => {
    const token = target instanceof Element ? target.closest<HTMLElement>('[data-token]')?.dataset.token : undefined;
    if (token !== undefined) setActive(Number(token));
  };
  const chosen = active === undefined ? undefined : tokens[active];
  return (
    <>
      <div
        class="token-text"
        role="listbox"
        tabIndex={0}
        aria-label={`The text's tokens with their experts in layer ${layer}`}
        {...(active !== undefined && { 'aria-activedescendant': `token-${active}` })}
        onKeyDown={move}
        onPointerOver={point}
        onClick={point}
        onFocus={() => setActive(active ?? 0)}
      >
        {drawn}
      </div>
      <p class="token-said">
        {chosen ? spoken(chosen) : 'Point at a token, or go through them with the arrow keys, to see its experts.'}
      </p>
      {trace.pieces.length > MOST_SHOWN && (
        <p class="hint">
          The first {MOST_SHOWN} of {trace.pieces.length} tokens are shown; the figures count all.
        </p>
      )}
    </>
  );
}
