import type { ComponentChildren } from 'preact';
import type { ModelConfig } from '../../../contract/import-api.ts';
import {
  changeOf,
  EXPERIMENTS,
  type ExperimentId,
  isPossible,
  type LabChange,
  type LabValues,
} from '../../state/lab-experiments.ts';
import type { LabScore } from '../../state/laboratory.ts';
import { choose } from '../../state/route.ts';
import { modelBusy } from '../RunBar.tsx';
import { Controls } from './Controls.tsx';
import { TEXTS } from './experiment-texts.ts';
import { changeText, labBars, perplexityText } from './results.ts';

interface Props {
  values: LabValues;
  config: ModelConfig;
  /** Results so far. */
  scores: readonly LabScore[];
  /** Why nothing can be run yet. */
  blocked: string | undefined;
  onRun: (change: LabChange) => void;
}

/** The experiments with their controls and results. Ticked ones belong to the set that runs at once. */
export function ExperimentList({ values, config, scores, blocked, onRun }: Props) {
  const toggle = (id: ExperimentId): void => {
    const set = EXPERIMENTS.filter((other) => values.set.includes(other) !== (other === id));
    choose({ set: set.length === EXPERIMENTS.length ? '' : set.join(' ') || 'none' });
  };
  const bars = labBars(scores);
  return (
    <section aria-labelledby="lab-experiments">
      <h2 id="lab-experiments">Experiments</h2>
      <ul class="lab-experiments">
        {EXPERIMENTS.filter((id) => isPossible(id, config)).map((id) => {
          const change = changeOf(id, values, config);
          const bar = change && bars.find(({ score }) => score.model.key === change.key);
          return (
            <Experiment
              key={id}
              {...TEXTS[id](config)}
              ticked={values.set.includes(id)}
              result={bar && `Perplexity ${perplexityText(bar.perplexity)} (${changeText(bar)})`}
              blocked={blocked ?? modelBusy() ?? (change ? undefined : 'Nothing is changed yet.')}
              onTick={() => toggle(id)}
              onRun={() => onRun(change!)}
            >
              <Controls {...{ id, values, config }} />
            </Experiment>
          );
        })}
      </ul>
    </section>
  );
}

interface ExperimentProps {
  title: string;
  sentence: string;
  ticked: boolean;
  /** Its perplexity in words; undefined until it is measured. */
  result: string | undefined;
  /** Why it cannot be run. */
  blocked: string | undefined;
  onTick: () => void;
  onRun: () => void;
  children: ComponentChildren;
}

function Experiment({ title, sentence, ticked, result, blocked, onTick, onRun, children }: ExperimentProps) {
  return (
    <li>
      <div class="lab-experiment">
        <label class="check">
          <input type="checkbox" checked={ticked} onChange={onTick} />
          <strong>{title}</strong>
        </label>
        {result ? (
          <span class="lab-result">{result}</span>
        ) : (
          <button
            type="button"
            class="small"
            aria-label={`Run only: ${title}`}
            title={blocked}
            disabled={blocked !== undefined}
            onClick={onRun}
          >
            Run
          </button>
        )}
      </div>
      <p class="hint">{sentence}</p>
      {children}
    </li>
  );
}
