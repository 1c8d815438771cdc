import { useRef } from 'preact/hooks';
import type { LayerRouting } from '../../contract/engine-api.ts';
import type { ModelConfig } from '../../contract/import-api.ts';
import { choose, indexChoice } from '../state/route.ts';
import { type CopiedLink, CopyTools } from './figure/CopyTools.tsx';
import { chanceOfCommon, chanceOfSame, percent, routingTable } from './routing.ts';

interface Props {
  routing: LayerRouting[];
  config: ModelConfig;
  /** Returns the link that is copied. */
  link: () => CopiedLink;
}

/** Per layer: how often consecutive tokens select the same experts, next to chance, and each expert's share. */
export function RoutingTable({ routing, config: { expertCount, expertsPerToken }, link }: Props) {
  const table = useRef<HTMLTableElement>(null);
  const same = chanceOfSame(expertCount);
  const common = chanceOfCommon(expertCount, expertsPerToken);
  const several = expertsPerToken > 1;
  const shown = indexChoice('layer', routing.length - 1);
  const most = Math.max(...routing.flatMap(({ use }) => use));
  return (
    <>
      <h2>All layers</h2>
      <p class="hint">
        How often consecutive tokens select the same experts. The mark in each bar is what chance would give:{' '}
        {percent(same)} for the same first choice{several && `, ${percent(common)} for at least one in common`}. The
        other columns are each expert's share of all selections, in percent. Equal shares would be {percent(same)}.
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling element must be reachable by keyboard */}
      <section class="table-scroll" tabIndex={0} aria-label="Routing by layer">
        <table ref={table} class="routing-table">
          <Heads several={several} expertCount={expertCount} />
          <tbody>
            {routing.map(({ use, sameFirst, sameAny }, l) => (
              <tr key={l}>
                <th scope="row">
                  <button
                    type="button"
                    class="small"
                    aria-pressed={l === shown}
                    aria-label={`Show layer ${l}`}
                    onClick={() => choose({ layer: String(l) })}
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
      <CopyTools
        title="Routing by layer"
        name="mixtab-routing"
        shown={table}
        table={() => routingTable(routing)}
        link={link}
      />
    </>
  );
}

function Heads({ several, expertCount }: { several: boolean; expertCount: number }) {
  return (
    <thead>
      <tr>
        <th scope="col">Layer</th>
        <th scope="col">Same first choice</th>
        {several && <th scope="col">At least one in common</th>}
        {Array.from({ length: expertCount }, (_, expert) => (
          <th scope="col" key={expert}>
            <span class="visually-hidden">Share of expert </span>
            {expert}
          </th>
        ))}
      </tr>
    </thead>
  );
}

/** A share as a figure and a bar, with a mark for the share that chance would give. */
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
