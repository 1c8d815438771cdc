import { useMemo } from 'preact/hooks';
import { readTexts } from '../../services/paper.ts';
import { type Comparison, comparison } from '../../state/paper.ts';
import { choices, choose, indexChoice } from '../../state/route.ts';
import { Figure } from '../figure/Figure.tsx';
import { OwnText } from '../OwnText.tsx';
import { RunBar, readerOf, readingCost, useTokenCounts } from '../RunBar.tsx';
import { percent } from '../routing.ts';
import { drawShares } from './draw-shares.tsx';
import { Favourites } from './Favourites.tsx';
import { RepeatsFigure } from './RepeatsFigure.tsx';
import { OWN, OWN_NAME, SAMPLES } from './samples.ts';
import { shareDots, shareTable, shuffledSentence, shuffleTexts } from './specialisation.ts';
import { useTexts } from './use-texts.ts';

/** Whether experts specialise in kinds of text, as in section 5 of the Mixtral paper. */
export function TextsView() {
  return (
    <>
      <p class="hint">
        In each layer, a small network called the router sends every token to a few of the layer’s experts. Does one
        expert take the code and another the French? The model reads several kinds of text, and the figures below
        compare which experts each text uses.
      </p>
      <Source />
      {comparison.value && <Results comparison={comparison.value} />}
    </>
  );
}

/** @returns the ids of the chosen texts, in the order of the page */
function chosenIds(): string[] {
  const all = [...SAMPLES.map(({ id }) => id), OWN];
  const { texts } = choices.value;
  return texts === undefined ? all.filter((id) => id !== OWN) : all.filter((id) => texts.split(' ').includes(id));
}

function Source() {
  const ids = chosenIds();
  const texts = useTexts(ids);
  const counts = useTokenCounts(texts.map((text) => text?.text));
  const total = counts?.reduce((sum, count) => sum + count, 0);
  const toggle = (id: string): void => {
    const next = ids.includes(id) ? ids.filter((other) => other !== id) : [...ids, id];
    choose({ texts: next.join(' ') || 'none' });
  };
  return (
    <section aria-label="Texts">
      <fieldset class="presets">
        <legend class="visually-hidden">Texts to compare</legend>
        {[...SAMPLES, { id: OWN, name: OWN_NAME }].map(({ id, name }) => (
          <label key={id}>
            <input type="checkbox" checked={ids.includes(id)} onChange={() => toggle(id)} />
            <span>{name}</span>
          </label>
        ))}
      </fieldset>
      {ids.includes(OWN) && <OwnText />}
      <RunBar
        kind="texts"
        label="Read texts"
        cost={readingCost(total)}
        blocked={
          ids.length === 0
            ? 'Choose a text.'
            : counts === undefined
              ? 'Counting the tokens …'
              : counts.some((count) => count < 2)
                ? 'Enter a text of at least two tokens.'
                : undefined
        }
        onRun={() =>
          void readTexts(
            texts.map((text) => text!),
            total!,
          )
        }
      />
      <Sources />
    </section>
  );
}

/** Where the bundled texts come from, and why anybody may use them. */
function Sources() {
  return (
    <details class="sources">
      <summary>Where the texts come from</summary>
      <ul>
        {SAMPLES.map(({ id, name, source, rights }) => (
          <li key={id}>
            {name}: {source} ({rights})
          </li>
        ))}
      </ul>
    </details>
  );
}

function Results({ comparison: shown }: { comparison: Comparison }) {
  const { config, texts } = shown;
  const layer = indexChoice('layer', config.layerCount - 1);
  return (
    <section aria-label="Comparison of texts">
      <p class="hint">
        {texts.map(({ name, tokens }) => `${name}: ${tokens} tokens`).join(', ')}. Read by {readerOf(shown)}.
      </p>
      <label class="slider layer-slider">
        <span class="hint">Layer {layer}</span>
        <input
          type="range"
          aria-label="Layer"
          min={0}
          max={config.layerCount - 1}
          value={layer}
          aria-valuetext={`Layer ${layer} of 0 to ${config.layerCount - 1}`}
          onInput={(event) => choose({ layer: event.currentTarget.value })}
        />
      </label>
      <SharesFigure comparison={shown} layer={layer} />
      <RepeatsFigure comparison={shown} />
      <Favourites comparison={shown} layer={layer} />
    </section>
  );
}

function SharesFigure({ comparison: shown, layer }: { comparison: Comparison; layer: number }) {
  const { config, texts } = shown;
  const dots = useMemo(() => shareDots(shown, layer), [shown, layer]);
  const shuffled = useMemo(() => shuffleTexts(shown, layer), [shown, layer]);
  const names = texts.map(({ name }) => name);
  return (
    <>
      <Figure
        title={`Share of each expert in layer ${layer}`}
        name={`mixtab-texts-layer-${layer}`}
        table={() => shareTable(shown)}
        draw={(width) => drawShares({ dots, names, expertCount: config.expertCount }, width)}
      >
        How often each text’s tokens were sent to each expert. The dashed line is an equal share,{' '}
        {percent(1 / config.expertCount)}. Lines are 95% intervals: one in twenty misses the true share by chance. A
        filled dot differs from an equal share by more than noise explains; a hollow one may not.
      </Figure>
      {shuffled && <p>{shuffledSentence(shuffled)}</p>}
      <details class="sources">
        <summary>How noise is measured</summary>
        <p class="hint">
          Neighbouring tokens often choose the same experts, so tokens are not independent and counting them one by one
          would make the intervals too short. Each text is cut into blocks of at least 32 consecutive tokens. The
          intervals come from how much the blocks differ (Student’s t). If a text changes its subject slowly, even this
          is too short. Filled dots allow for the number of dots looked at: any false alarm in a layer has a chance of
          at most 5% (Bonferroni).
        </p>
      </details>
    </>
  );
}
