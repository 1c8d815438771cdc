import type { LayerRouting } from '../../contract/engine-api.ts';
import type { ModelConfig } from '../../contract/import-api.ts';
import { layer } from '../services/text-routing.ts';
import { chanceOfCommon, chanceOfSame, percent } from './routing.ts';

interface Props {
  routing: LayerRouting[];
  config: ModelConfig;
}

/** How often consecutive tokens agree, against chance, and how often each expert is used: layer by layer. */
export function RoutingTable({ routing, config: { expertCount, expertsPerToken } }: Props) {
  const same = chanceOfSame(expertCount);
  const common = chanceOfCommon(expertCount, expertsPerToken);
  const several = expertsPerToken > 1;
  const most = Math.max(...routing.flatMap(({ use }) => use));
  return (
    <>
      <h2>All layers</h2>
      <p class="hint">
        How often a token and the one before it chose alike. The mark in each bar is what chance gives: {percent(same)}{' '}
        for the same first choice{several && `, ${percent(common)} for one of ${expertsPerToken} in common`}. Then the
        share of choices that fell on each expert; even would be {percent(same)}.
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
      <section class="table-scroll" tabIndex={0} aria-label="Routing by layer">
        <table class="routing-table">
          <thead>
            <tr>
              <th scope="col">Layer</th>
              <th scope="col">Same first choice</th>
              {several && <th scope="col">One in common</th>}
              {routing[0].use.map((_, expert) => (
                <th scope="col" key={expert}>
                  <span class="visually-hidden">Use of expert </span>
                  {expert}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {routing.map(({ use, sameFirst, sameAny }, l) => (
              <tr key={l}>
                <th scope="row">
                  <button
                    type="button"
                    class="small"
                    aria-pressed={l === layer.value}
                    aria-label={`Show layer ${l}`}
                    onClick={() => (layer.value = l)}
                  >
                    {l}
                  </button>
                </th>
                <Share share={sameFirst} chance={same} />
                {several && <Share share={sameAny} chance={common} />}
                {use.map((share, expert) => (
                  <td key={expert} class="use" style={{ '--use': share / most }}>
                    {Math.round(100 * share)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </>
  );
}

/** A share as figure and bar, with a mark where chance is. */
function Share({ share, chance }: { share: number; chance: number }) {
  return (
    <td class="share">
      {percent(share)}
      <span class="share-bar" aria-hidden="true">
        <span style={{ width: `${100 * share}%` }} />
        <i style={{ left: `${100 * chance}%` }} />
      </span>
    </td>
  );
}
