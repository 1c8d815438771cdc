import { useRef, useState } from 'preact/hooks';
import type { ModelConfig } from '../../contract/import-api.ts';
import { type BanResult, toggleBan, toggleEverywhere } from '../state/ablation.ts';
import { currentBans, setBans } from '../state/laboratory.ts';

/** A grid with a button per expert, which bans it or allows it again. Arrow keys move between the cells. */
export function BanGrid({ config }: { config: ModelConfig }) {
  const { layerCount, expertCount } = config;
  const [refusal, setRefusal] = useState('');
  /** The only cell in the tab order. */
  const [active, setActive] = useState({ layer: 0, expert: 0 });
  const table = useRef<HTMLTableElement>(null);
  const bans = currentBans();
  const apply = (result: BanResult): void => {
    setRefusal('refusal' in result ? result.refusal : '');
    if ('bans' in result) setBans(result.bans);
  };
  const move = (event: KeyboardEvent): void => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = {
      layer: clamp(active.layer + step[0], layerCount),
      expert: clamp(active.expert + step[1], expertCount),
    };
    setActive(next);
    table.current?.querySelector<HTMLElement>(`[data-cell="${next.layer}.${next.expert}"]`)?.focus();
  };
  return (
    <details class="ban">
      <summary>Ban experts{bans.size > 0 && ` (${bans.size} banned)`}</summary>
      <p class="hint">
        Each cell is an expert: click it to ban it. The numbers at the top ban an expert in every layer.
      </p>
      <div class="table-scroll">
        <table ref={table} class="ban-grid" aria-label="Experts to ban" style={{ '--rows': layerCount }}>
          <thead>
            <tr>
              <th scope="col">
                <span class="visually-hidden">Layer</span>
              </th>
              {Array.from({ length: expertCount }, (_, expert) => (
                <th scope="col" key={expert}>
                  <button
                    type="button"
                    aria-label={`Expert ${expert} in every layer`}
                    onClick={() => apply(toggleEverywhere(bans, expert, config))}
                  >
                    {expert}
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <tbody onKeyDown={move}>
            {Array.from({ length: layerCount }, (_, layer) => (
              <tr key={layer}>
                <th scope="row">{layer}</th>
                {Array.from({ length: expertCount }, (_, expert) => (
                  <td key={expert}>
                    <button
                      type="button"
                      data-cell={`${layer}.${expert}`}
                      aria-label={`Layer ${layer}, expert ${expert}`}
                      aria-pressed={bans.has(layer * expertCount + expert)}
                      tabIndex={layer === active.layer && expert === active.expert ? 0 : -1}
                      onFocus={() => setActive({ layer, expert })}
                      onClick={() => apply(toggleBan(bans, layer, expert, config))}
                    />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {refusal && (
        <p class="bad" role="alert">
          {refusal}
        </p>
      )}
      <button
        type="button"
        class="small"
        disabled={bans.size === 0}
        onClick={() => {
          setRefusal('');
          setBans(new Set());
        }}
      >
        Allow all
      </button>
    </details>
  );
}

const clamp = (value: number, count: number): number => Math.min(count - 1, Math.max(0, value));
