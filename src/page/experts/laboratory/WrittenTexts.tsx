import { commonLength } from '../../state/ablation.ts';
import { experiment } from '../../state/generation.ts';
import type { LabResults, LabScore, LabWords } from '../../state/laboratory.ts';
import { changeText, labBars, perplexityText } from './results.ts';

/** How the original and the changed models continue the prompt. The changed part of each text is highlighted. */
export function WrittenTexts({ words, scores }: { words: LabResults<LabWords>; scores: readonly LabScore[] }) {
  const original = words.rows.find(({ model }) => model.key === '');
  if (!original) return null;
  const bars = labBars(scores);
  return (
    <section aria-labelledby="lab-written">
      <h2 id="lab-written">What the models write</h2>
      <p class="hint">The same prompt and the same seed. A text is highlighted from the first difference.</p>
      <div class="both">
        {words.rows.map((row) => (
          <Written
            key={row.model.key}
            prompt={words.of}
            {...{ row, original: original.words }}
            bar={bars.find(({ score }) => score.model.key === row.model.key)}
          />
        ))}
      </div>
    </section>
  );
}

interface WrittenProps {
  prompt: string;
  row: LabWords;
  original: string;
  /** The perplexity of the same model, if it is known. */
  bar: ReturnType<typeof labBars>[number] | undefined;
}

function Written({ prompt, row: { model, words, done }, original, bar }: WrittenProps) {
  const same = commonLength(original, words);
  const change = bar && changeText(bar);
  return (
    <article aria-label={model.name}>
      <h3>{model.name}</h3>
      {bar && (
        <p class="hint">
          Perplexity {perplexityText(bar.perplexity)}
          {change && ` (${change})`}
        </p>
      )}
      <p class="plain">
        <span class="prompt">{prompt}</span>
        {words.slice(0, same)}
        {words.length > same && <mark>{words.slice(same)}</mark>}
      </p>
      {model.key !== '' && done && words === original && <p class="hint">The same as the original model.</p>}
      {!done && !experiment.value && <p class="hint">Stopped.</p>}
    </article>
  );
}
