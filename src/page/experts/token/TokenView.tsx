import { useMemo } from 'preact/hooks';
import { CopyButton } from '../../../ui/CopyButton.tsx';
import { canFollow, followToken, tokensToFollow } from '../../services/token-observation.ts';
import { experiment } from '../../state/generation.ts';
import { layer, type Reading } from '../../state/text-routing.ts';
import { followed, followedToken } from '../../state/token-observation.ts';
import { RunBar } from '../RunBar.tsx';
import { percent } from '../routing.ts';
import { LayerFigure } from './LayerFigure.tsx';
import {
  formatLength,
  formatProbability,
  type LayerRow,
  layerRows,
  layerSentences,
  layersCsv,
  quoted,
  settledAt,
} from './layers.ts';
import '../../../ui/css/token.css';

/** One token of the reading on its way through the layers. */
export function TokenView({ reading, colours }: { reading: Reading; colours: readonly string[] }) {
  const token = followedToken.value;
  const last = reading.trace.pieces.length - 1;
  if (token === undefined || token > last) {
    return (
      <section aria-label="Token">
        <h2>One token, layer by layer</h2>
        <p class="hint">Click a token of the text above, or press Enter on it, to follow it through the layers.</p>
      </section>
    );
  }
  return (
    <section aria-label="Token">
      <h2>One token, layer by layer: {quoted(reading.trace.pieces[token])}</h2>
      <Steps token={token} last={last} />
      <Contents reading={reading} token={token} colours={colours} />
    </section>
  );
}

/** Buttons to the tokens before and after. */
function Steps({ token, last }: { token: number; last: number }) {
  const isBusy = experiment.value !== undefined;
  return (
    <div class="row">
      <button type="button" disabled={token === 0 || isBusy} onClick={() => void followToken(token - 1)}>
        Previous token
      </button>
      <button type="button" disabled={token === last || isBusy} onClick={() => void followToken(token + 1)}>
        Next token
      </button>
    </div>
  );
}

function Contents({ reading, token, colours }: { reading: Reading; token: number; colours: readonly string[] }) {
  const observation = followed.value;
  const rows = useMemo(() => observation && layerRows(observation), [observation]);
  if (!observation || !rows) {
    const count = tokensToFollow(token, reading.context);
    return (
      <RunBar
        kind="following"
        label="Follow this token"
        cost={`${count} ${count === 1 ? 'token' : 'tokens'} to compute, with a prediction after every layer`}
        blocked={canFollow() ? undefined : 'Read the text again: another model is loaded.'}
        onRun={() => void followToken(token)}
      />
    );
  }
  const shown = Math.min(layer.value, rows.length - 1);
  const final = rows.at(-1)!.predictions[0];
  const prediction = `${quoted(final.text)} (${formatProbability(final.probability)})`;
  return (
    <>
      <p>
        The token enters at layer 0 as a vector, the <em>residual</em>. Each layer adds to it: attention what it found
        in the tokens before, and the two chosen experts what they make of it, each times its weight. After the last
        layer the model predicts {prediction}
        {observation.nextPiece !== undefined && `; ${quoted(observation.nextPiece)} follows in the text`}. That
        prediction is the first from layer {settledAt(rows)} on.
      </p>
      <LayerSlider count={rows.length} shown={shown} />
      <LayerFigure
        rows={rows}
        shown={shown}
        onShow={(index) => (layer.value = index)}
        colours={colours}
        label={`${rows.length} layers of the token ${quoted(observation.piece)}. The table below has all figures.`}
      />
      <div class="layer-words" aria-live="polite">
        {layerSentences(rows[shown]).map((sentence) => (
          <p key={sentence}>{sentence}</p>
        ))}
        <Likeliest row={rows[shown]} />
      </div>
      <p class="hint">
        Bars of the router: the softmax of the scores of all experts. Chosen: the softmax over the chosen ones only.
        Added: lengths of vectors, grey for attention, inside the outline of their sum so far. Prediction: the likeliest
        next token if the model ended here; the line marks the probability of the token that really follows.
      </p>
      <Table rows={rows} />
    </>
  );
}

function LayerSlider({ count, shown }: { count: number; shown: number }) {
  return (
    <label class="slider">
      <span class="hint">Layer of the token</span>
      <input
        type="range"
        min={0}
        max={count - 1}
        value={shown}
        aria-valuetext={`Layer ${shown} of 0 to ${count - 1}`}
        onInput={(event) => (layer.value = event.currentTarget.valueAsNumber)}
      />
    </label>
  );
}

/** The likeliest tokens after a layer. */
function Likeliest({ row }: { row: LayerRow }) {
  return (
    <ol class="likeliest" aria-label={`Likeliest next tokens after layer ${row.layer}`}>
      {row.predictions.map(({ text, probability }, rank) => (
        <li key={rank}>
          <span>{quoted(text)}</span> {formatProbability(probability)}
        </li>
      ))}
    </ol>
  );
}

/** All figures, a row per layer. */
function Table({ rows }: { rows: readonly LayerRow[] }) {
  return (
    <details class="by-layer">
      <summary>All figures as a table</summary>
      <CopyButton text={() => layersCsv(rows)} label="Copy the figures as CSV" />
      <table>
        <thead>
          <tr>
            <th scope="col">Layer</th>
            <th scope="col">Experts, weight</th>
            <th scope="col">Scores</th>
            <th scope="col">Attention adds</th>
            <th scope="col">Experts add</th>
            <th scope="col">Residual</th>
            <th scope="col">Prediction</th>
            <th scope="col">Next token</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ layer: index, experts, attention, residual, predictions: [first], next }) => (
            <tr key={index}>
              <th scope="row">{index}</th>
              <td>{experts.map(({ expert, weight }) => `${expert}: ${percent(weight, 0)}`).join(', ')}</td>
              <td>{experts.map(({ score }) => score.toFixed(2)).join(', ')}</td>
              <td>{formatLength(attention)}</td>
              <td>{experts.map(({ length }) => formatLength(length)).join(', ')}</td>
              <td>{formatLength(residual)}</td>
              <td>
                {quoted(first.text)} {formatProbability(first.probability)}
              </td>
              <td>{next ? `${formatProbability(next.probability)}, place ${next.rank + 1}` : '—'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}
