import { useRef } from 'preact/hooks';
import { commonLength } from '../../state/ablation.ts';
import { experiment } from '../../state/generation.ts';
import type { LabResults, LabScore, LabWords } from '../../state/laboratory.ts';
import { type CopiedLink, CopyTools } from '../figure/CopyTools.tsx';
import { changeText, labBars, perplexityText, wordsTable } from './results.ts';

interface Props {
  words: LabResults<LabWords>;
  scores: readonly LabScore[];
  /** Returns the link that is copied. */
  link: () => CopiedLink;
}

/** How the original and the changed models continue the prompt. The changed part of each text is highlighted. */
export function WrittenTexts({ words, scores, link }: Props) {
  const texts = useRef<HTMLDivElement>(null);
  const original = words.rows.find(({ model }) => model.key === '');
  if (!original) return null;
  const bars = labBars(scores);
  return (
    <section aria-labelledby="lab-written">
      <h2 id="lab-written">What the models write</h2>
      <p class="hint">The same prompt and the same seed. A text is highlighted from the first difference.</p>
      <div class="both" ref={texts}>
        {words.rows.map((row) => (
          <Written
            key={row.model.key}
            prompt={words.of}
            {...{ row, original: original.words }}
            bar={bars.find(({ score }) => score.model.key === row.model.key)}
          />
        ))}
      </div>
      <CopyTools
        title="What the models write"
        name="mixtab-laboratory-texts"
        shown={texts}
        table={() => wordsTable(words)}
        link={link}
      />
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
