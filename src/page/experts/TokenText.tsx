import { useEffect, useMemo, useState } from 'preact/hooks';
import type { ScoreResult } from '../../contract/engine-api.ts';
import { spoken, tokensAt, visible } from './routing.ts';

/** More tokens would make the page slow. */
const MAX_SHOWN = 4000;

interface Props {
  trace: NonNullable<ScoreResult['trace']>;
  layer: number;
  layerCount: number;
  /** A CSS colour per expert. */
  colours: string[];
  /** Whether to write the number of its expert at each token. */
  numbers: boolean;
}

/** The text with each token coloured by its first expert. The token at the pointer or keyboard is described below. */
export function TokenText({ trace, layer, layerCount, colours, numbers }: Props) {
  const [active, setActive] = useState<number | undefined>(undefined);
  const tokens = useMemo(() => tokensAt(trace, layer, layerCount).slice(0, MAX_SHOWN), [trace, layer]);
  // Memoized, so that thousands of tokens are not compared again when only the active one changes.
  const options = useMemo(
    () =>
      tokens.map((token, i) => (
        // biome-ignore lint/a11y/useFocusableInteractive: the list has the focus and points to the active option
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
  }, [active, options]);
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
  const activate = ({ target }: Event): void => {
    const token = target instanceof Element ? target.closest<HTMLElement>('[data-token]')?.dataset.token : undefined;
    if (token !== undefined) setActive(Number(token));
  };
  const described = active === undefined ? undefined : tokens[active];
  return (
    <>
      <div
        class="token-text"
        role="listbox"
        tabIndex={0}
        aria-label={`Tokens and their experts in layer ${layer}`}
        {...(active !== undefined && { 'aria-activedescendant': `token-${active}` })}
        onKeyDown={move}
        onPointerOver={activate}
        onClick={activate}
        onFocus={() => setActive(active ?? 0)}
      >
        {options}
      </div>
      <p class="token-description">
        {described ? spoken(described) : 'Point at a token or use the arrow keys to see its experts.'}
      </p>
      {trace.pieces.length > MAX_SHOWN && (
        <p class="hint">
          Showing the first {MAX_SHOWN} of {trace.pieces.length} tokens. The figures cover all of them.
        </p>
      )}
    </>
  );
}
