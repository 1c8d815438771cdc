import { useMemo, useRef } from 'preact/hooks';
import type { Comparison } from '../../state/paper.ts';
import { CopyTools } from '../figure/CopyTools.tsx';
import { percent } from '../routing.ts';
import { favouriteTable, favouriteTokens, MIN_OCCURRENCES } from './favourites.ts';

/** The tokens that each expert of a layer likes best, over all texts together. */
export function Favourites({ comparison, layer }: { comparison: Comparison; layer: number }) {
  const experts = useMemo(() => favouriteTokens(comparison, layer), [comparison, layer]);
  const list = useRef<HTMLDListElement>(null);
  const title = `Tokens that each expert of layer ${layer} likes best`;
  return (
    <section class="favourites" aria-labelledby="favourites">
      <h2 id="favourites">{title}</h2>
      <p class="hint">
        Tokens that occur at least {MIN_OCCURRENCES} times in all texts together and were sent to the expert more often
        than tokens in general, by more than noise explains (95%, occurrences counted as independent). “12/14” means 12
        of 14 occurrences. Every token goes to {comparison.config.expertsPerToken} experts, so the shares of all experts
        add up to {100 * comparison.config.expertsPerToken}%.
      </p>
      <dl ref={list}>
        {experts.map(({ expert, base, favourites }) => (
          <div key={expert}>
            <dt>
              Expert {expert} <span class="hint">gets {percent(base, 0)} of all tokens</span>
            </dt>
            <dd>
              {favourites.length === 0 && <span class="hint">no token stands out</span>}
              {favourites.map(({ token, count, hits }) => (
                <span key={token} class="favourite">
                  <code>{shown(token)}</code> {hits}/{count}
                </span>
              ))}
            </dd>
          </div>
        ))}
      </dl>
      <CopyTools
        title={title}
        name={`mixtab-tokens-layer-${layer}`}
        shown={list}
        table={() => favouriteTable(experts)}
      />
    </section>
  );
}

/** A token with signs for its invisible characters. */
const shown = (token: string): string =>
  token.replaceAll(' ', '␣').replaceAll('\n', '↵').replaceAll('\t', '⇥').replaceAll('\r', '␍');
