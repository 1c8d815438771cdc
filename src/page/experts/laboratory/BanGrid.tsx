import { useRef, useState } from 'preact/hooks';
import type { ModelConfig } from '../../../contract/import-api.ts';
import { type BanResult, type Bans, toggleBan, toggleEverywhere } from '../../state/ablation.ts';

interface Props {
  bans: Bans;
  config: ModelConfig;
  onChange: (bans: Bans) => void;
}

/** Bans experts or allows them again. A ban that leaves a layer too few experts is refused with the reason. */
export function BanGrid({ bans, config, onChange }: Props) {
  const [refusal, setRefusal] = useState('');
  const apply = (result: BanResult): void => {
    setRefusal('refusal' in result ? result.refusal : '');
    if ('bans' in result) onChange(result.bans);
  };
  return (
    <details class="ban">
      <summary>Ban experts by layer ({bans.size} banned)</summary>
      <p class="hint">
        Each cell is an expert: click it to ban it. The numbers at the top ban an expert in every layer.
      </p>
      <div class="table-scroll">
        <BanTable {...{ bans, config }} onResult={apply} />
      </div>
      {refusal && (
        <p class="bad" role="alert">
          {refusal}
        </p>
      )}
      <button type="button" class="small" disabled={bans.size === 0} onClick={() => apply({ bans: new Set() })}>
        Allow all
      </button>
    </details>
  );
}

interface BanTableProps {
  bans: Bans;
  config: ModelConfig;
  /** Called with what a click changes, or why it cannot. */
  onResult: (result: BanResult) => void;
}

/** One row per layer, one button per expert. Only one cell is in the tab order; arrow keys move between the cells. */
function BanTable({ bans, config, onResult }: BanTableProps) {
  const { layerCount, expertCount } = config;
  const [active, setActive] = useState({ layer: 0, expert: 0 });
  const table = useRef<HTMLTableElement>(null);
  const move = (event: KeyboardEvent): void => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const layer = clamp(active.layer + step[0], layerCount);
    const expert = clamp(active.expert + step[1], expertCount);
    setActive({ layer, expert });
    table.current?.querySelector<HTMLElement>(`[data-cell="${layer}.${expert}"]`)?.focus();
  };
  return (
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
                onClick={() => onResult(toggleEverywhere(bans, expert, config))}
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
                  onClick={() => onResult(toggleBan(bans, layer, expert, config))}
                />
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const clamp = (value: number, count: number): number => Math.min(count - 1, Math.max(0, value));
