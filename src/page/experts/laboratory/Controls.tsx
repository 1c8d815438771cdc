import type { ModelConfig } from '../../../contract/import-api.ts';
import { type Bans, bansText } from '../../state/ablation.ts';
import {
  EXPERIMENTS,
  type ExperimentId,
  isPossible,
  type LabValues,
  NOISE,
  toggleInMix,
} from '../../state/lab-experiments.ts';
import { choose } from '../../state/route.ts';
import { BanGrid } from './BanGrid.tsx';
import { TEXTS } from './experiment-texts.ts';

interface Props {
  id: ExperimentId;
  values: LabValues;
  config: ModelConfig;
}

/** The controls of one experiment. What they set is in the address. */
export function Controls({ id, values, config }: Props) {
  const { expertCount, expertsPerToken } = config;
  const { used, swap, one } = values;
  switch (id) {
    case 'first':
      return expertsPerToken === 2 ? null : (
        <div class="lab-fields">
          <NumberSelect label="Experts per token" name="used" value={used} from={1} to={expertsPerToken - 1} />
        </div>
      );
    case 'ban':
      return <BanControls {...{ values, config }} />;
    case 'swap':
      return (
        <div class="lab-fields">
          <NumberSelect label="Expert" name="swap" value={swap[0]} to={expertCount - 1} />
          <NumberSelect label="swapped with" name="with" value={swap[1]} to={expertCount - 1} />
        </div>
      );
    case 'one':
      return (
        <div class="lab-fields">
          <NumberSelect label="Expert" name="one" value={one} to={expertCount - 1} />
        </div>
      );
    case 'noise':
      return <NoiseSlider noise={values.noise} />;
    case 'mix':
      return <MixControls {...{ values, config }} />;
    default:
      return null;
  }
}

interface NumberSelectProps {
  label: string;
  /** The choice of the address. */
  name: string;
  value: number;
  from?: number;
  to: number;
}

function NumberSelect({ label, name, value, from = 0, to }: NumberSelectProps) {
  return (
    <label>
      <span>{label}</span>
      <select value={value} onChange={(event) => choose({ [name]: event.currentTarget.value })}>
        {Array.from({ length: to - from + 1 }, (_, i) => (
          <option key={i}>{from + i}</option>
        ))}
      </select>
    </label>
  );
}

/** One expert of every layer, or any experts in the grid. */
function BanControls({ values: { bans }, config }: Omit<Props, 'id'>) {
  const text = bansText(bans, config);
  const apply = (next: Bans): void => choose({ ban: bansText(next, config) || 'none' });
  return (
    <>
      <div class="lab-fields">
        <label>
          <span>Expert</span>
          <select
            value={/^\d+$/.test(text) ? text : ''}
            onChange={(event) => choose({ ban: event.currentTarget.value })}
          >
            {!/^\d+$/.test(text) && <option value="">as below</option>}
            {Array.from({ length: config.expertCount }, (_, expert) => (
              <option key={expert} value={expert}>
                {expert} of every layer
              </option>
            ))}
          </select>
        </label>
      </div>
      <BanGrid {...{ bans, config }} onChange={apply} />
    </>
  );
}

function NoiseSlider({ noise }: { noise: number }) {
  return (
    <label class="slider lab-slider">
      <span class="hint">Noise {noise}</span>
      <input
        type="range"
        aria-label="Noise"
        {...NOISE}
        value={noise}
        aria-valuetext={`Standard deviation ${noise}`}
        onInput={(event) => choose({ noise: event.currentTarget.value })}
      />
    </label>
  );
}

/** Ticking a change removes those that exclude it. */
function MixControls({ values: { mix }, config }: Omit<Props, 'id'>) {
  return (
    <fieldset class="presets">
      <legend class="visually-hidden">Changes to combine</legend>
      {EXPERIMENTS.filter((id) => id !== 'mix' && isPossible(id, config)).map((id) => (
        <label key={id}>
          <input
            type="checkbox"
            checked={mix.includes(id)}
            onChange={() => choose({ mix: toggleInMix(mix, id).join(' ') })}
          />
          <span>{TEXTS[id](config).title}</span>
        </label>
      ))}
    </fieldset>
  );
}
