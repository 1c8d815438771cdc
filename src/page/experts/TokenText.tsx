import { useEffect, useMemo, useState } from 'preact/hooks';
import type { ScoreResult } from '../../contract/engine-api.ts';
import { indexAfterKey } from '../../ui/index-after-key.ts';
import { spoken, type TokenRouting, tokensAt, visible } from './routing.ts';

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
  /** The token that is shown layer by layer. */
  followed: number | undefined;
  /** Called with the index of a token that is clicked, or on which Enter is pressed. */
  onFollow: (token: number) => void;
}

/** The text with each token coloured by its first expert. The token at the pointer or keyboard is described below. */
export function TokenText({ trace, layer, layerCount, colours, numbers, followed, onFollow }: Props) {
  const [active, setActive] = useState<number | undefined>(undefined);
  const tokens = useMemo(() => tokensAt(trace, layer, layerCount).slice(0, MAX_SHOWN), [trace, layer]);
  // Memoized, so that thousands of tokens are not compared again when only the active one changes.
  const options = useMemo(
    () =>
      tokens.map((token, i) => (
        <Token key={i} index={i} token={token} colour={colours[token.experts[0]]} number={numbers} />
      )),
    [tokens, numbers, colours.length],
  );
  useEffect(() => {
    const option = active === undefined ? null : document.getElementById(`token-${active}`);
    option?.setAttribute('aria-selected', 'true');
    return () => option?.setAttribute('aria-selected', 'false');
  }, [active, options]);
  useMark(followed, options);
  const move = (event: KeyboardEvent): void => {
    if (event.key === 'Enter' && active !== undefined) onFollow(active);
    const next = indexAfterKey(event.key, active ?? -1, tokens.length - 1);
    if (next === undefined) return;
    event.preventDefault();
    setActive(next);
    document.getElementById(`token-${next}`)?.scrollIntoView({ block: 'nearest' });
  };
  const onToken = (act: (token: number) => void) => (event: Event) => {
    const token = tokenOf(event);
    if (token === undefined) return;
    setActive(token);
    act(token);
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
        onPointerOver={onToken(() => {})}
        onClick={onToken(onFollow)}
        onFocus={() => setActive(active ?? 0)}
      >
        {options}
      </div>
      <p class="token-description">
        {described
          ? spoken(described)
          : 'Point at a token or use the arrow keys to see its experts; click it or press Enter to follow it.'}
      </p>
      {trace.pieces.length > MAX_SHOWN && (
        <p class="hint">
          Showing the first {MAX_SHOWN} of {trace.pieces.length} tokens. The figures cover all of them.
        </p>
      )}
    </>
  );
}

/** Marks the token that is shown layer by layer. */
function useMark(token: number | undefined, options: unknown): void {
  useEffect(() => {
    const option = token === undefined ? null : document.getElementById(`token-${token}`);
    option?.classList.add('followed');
    return () => option?.classList.remove('followed');
  }, [token, options]);
}

/** The index of the token that an event is about. */
function tokenOf({ target }: Event): number | undefined {
  const token = target instanceof Element ? target.closest<HTMLElement>('[data-token]')?.dataset.token : undefined;
  return token === undefined ? undefined : Number(token);
}

interface TokenProps {
  index: number;
  token: TokenRouting;
  colour: string;
  number: boolean;
}

function Token({ index, token, colour, number }: TokenProps) {
  const first = token.experts[0];
  return (
    // biome-ignore lint/a11y/useFocusableInteractive: the list has the focus and points to the active option
    <span
      id={`token-${index}`}
      data-token={index}
      role="option"
      aria-selected="false"
      aria-label={spoken(token)}
      style={{ background: colour }}
    >
      {visible(token.text).replace(/\n$/, '')}
      {number && <sub aria-hidden="true">{first}</sub>}
      {token.text.endsWith('\n') && '\n'}
    </span>
  );
}
