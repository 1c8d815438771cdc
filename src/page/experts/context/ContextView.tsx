import { measureCurve } from '../../services/paper.ts';
import { experiment } from '../../state/generation.ts';
import { loaded } from '../../state/models.ts';
import { type Curve, curve } from '../../state/paper.ts';
import { choices } from '../../state/route.ts';
import { Figure } from '../figure/Figure.tsx';
import { OwnText } from '../OwnText.tsx';
import { RunBar, readerOf, useTokenCount } from '../RunBar.tsx';
import { OWN, SAMPLES } from '../texts/samples.ts';
import { TextSelect } from '../texts/TextSelect.tsx';
import { useTexts } from '../texts/use-texts.ts';
import { contextLengths, curveSentence, curveTable } from './curve.ts';
import { drawCurve } from './draw-curve.tsx';

/** Perplexity of a text against the number of tokens that the model sees, as in figure 4 of the Mixtral paper. */
export function ContextView() {
  return (
    <>
      <p class="hint">
        How much does it help the model to see more of the text? It reads the same text several times, in windows of
        growing length. Perplexity is, roughly, how many equally likely tokens it has to choose from next: lower is
        better.
      </p>
      <Source />
      {curve.value && curve.value.points.length > 0 && <CurveFigure curve={curve.value} />}
    </>
  );
}

function Source() {
  const id = choices.value.text ?? SAMPLES[0].id;
  const [chosen] = useTexts([id]);
  const text = chosen?.text ?? '';
  const tokens = useTokenCount(text);
  const lengths = contextLengths(tokens ?? 0, loaded.value!.context);
  const known = chosen !== undefined && tokens !== undefined;
  return (
    <section aria-label="Text">
      <div class="lab-fields">
        <TextSelect id={id} />
      </div>
      {id === OWN && <OwnText />}
      <RunBar
        kind="context"
        label="Measure"
        cost={`${lengths.length} lengths (${lengths.join(', ')}) × ${tokens} tokens = ${lengths.length * (tokens ?? 0)} tokens to read`}
        blocked={known ? (tokens < 2 ? 'Enter a text of at least two tokens.' : undefined) : 'Counting the tokens …'}
        onRun={() => void measureCurve(chosen!, lengths, tokens!)}
      />
    </section>
  );
}

function CurveFigure({ curve: shown }: { curve: Curve }) {
  const { text, lengths, points } = shown;
  const missing = lengths.length - points.length;
  return (
    <section aria-label="Curve">
      <Figure
        title="Perplexity by context length"
        name="mixtab-context"
        table={() => curveTable(points)}
        draw={(width) => drawCurve(points, width)}
      >
        {text}, read by {readerOf(shown)}. Each dot is the text read in windows of that length, and equals{' '}
        <code>perplexity --context N</code>. The band is the 95% interval, from the spread between parts of the text. It
        is wide because some parts are harder than others, which is the same for all lengths.
      </Figure>
      <p>{curveSentence(points)}</p>
      {missing > 0 && !experiment.value && (
        <p class="hint">
          {missing} longer {missing === 1 ? 'length was' : 'lengths were'} not measured.
        </p>
      )}
    </section>
  );
}
