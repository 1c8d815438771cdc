import { useMemo } from 'preact/hooks';
import type { LabResults, LabScore } from '../../state/laboratory.ts';
import type { CopiedLink } from '../figure/CopyTools.tsx';
import { Figure } from '../figure/Figure.tsx';
import { drawPerplexities } from './draw-perplexities.tsx';
import { labBars, labSentence, labTable } from './results.ts';

interface Props {
  scores: LabResults<LabScore>;
  /** Returns the link that is copied. */
  link: () => CopiedLink;
}

/** How well the original and the changed models predict the text. */
export function PerplexityFigure({ scores: { rows, of, loaded }, link }: Props) {
  const bars = useMemo(() => labBars(rows), [rows]);
  if (bars.length === 0) return null;
  const sentence = labSentence(bars);
  return (
    <section aria-label="Perplexity">
      <Figure
        title="Perplexity with changed routing"
        name="mixtab-laboratory"
        table={() => labTable(bars)}
        link={link}
        draw={(width) => drawPerplexities(bars, width)}
      >
        {of}, read by {loaded}. Perplexity is, roughly, how many equally likely tokens the model has to choose from
        next: lower is better. Bars begin at the original model (dashed line): the longer a bar to the right, the worse.
        The scale is logarithmic, so equal lengths are equal factors. Thin lines are 95% intervals of the difference,
        from its spread between parts of the text.
      </Figure>
      {sentence && <p>{sentence}</p>}
      <p class="hint">
        Each perplexity equals that of the command <code>perplexity</code> with the same change. The intervals say
        nothing about other seeds and other texts: try some.
      </p>
    </section>
  );
}
