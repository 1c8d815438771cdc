import { useMemo, useState } from 'preact/hooks';
import type { Observation } from '../../../contract/engine-api.ts';
import { canFollow, followToken, tokensToFollow } from '../../services/token-observation.ts';
import { choose, indexChoice } from '../../state/route.ts';
import type { Reading } from '../../state/text-routing.ts';
import { followed, followedToken } from '../../state/token-observation.ts';
import { Figure } from '../figure/Figure.tsx';
import { RunBar } from '../RunBar.tsx';
import { drawLayers } from './draw-layers.tsx';
import {
  formatProbability,
  type LayerRow,
  layerRows,
  layerSentences,
  layersTable,
  quoted,
  settledAt,
} from './layers.ts';
import { readingLink } from './reading-link.ts';
import '../../../ui/css/token.css';

interface Props {
  reading: Reading;
  /** A CSS colour per expert. */
  colours: readonly string[];
}

/** One token of the reading on its way through the layers. */
export function TokenView({ reading, colours }: Props) {
  const token = followedToken.value;
  const last = reading.trace.pieces.length - 1;
  if (token === undefined || token > last) {
    return (
      <section id="token-view" aria-label="Token">
        <h2>One token, layer by layer</h2>
        <p class="hint">Click a token of the text above, or press Enter on it, to follow it through the layers.</p>
      </section>
    );
  }
  const observation = followed.value;
  return (
    <section id="token-view" aria-label="Token">
      {!observation && <h2>One token, layer by layer: {quoted(reading.trace.pieces[token])}</h2>}
      {observation && <Layers {...{ reading, colours, observation, token }} />}
      <Steps reading={reading} token={token} last={last} />
      {!observation && <Follow reading={reading} token={token} />}
    </section>
  );
}

/** Leads to other tokens of the text. */
function Steps({ reading, token, last }: { reading: Reading; token: number; last: number }) {
  // Where the slider is while it is dragged. No effect resets it: that could run between a key's two events.
  const [dragged, setDragged] = useState({ from: token, to: token });
  const pointed = dragged.from === token ? dragged.to : token;
  const follow = (next: number): void => void followToken(next);
  const piece = quoted(reading.trace.pieces[Math.min(pointed, last)]);
  return (
    <div class="row token-steps">
      <button type="button" disabled={token === 0} onClick={() => follow(token - 1)}>
        Previous token
      </button>
      <label class="slider">
        <span class="hint token-name">{piece}</span>
        <input
          type="range"
          aria-label="Token of the text"
          min={0}
          max={last}
          value={pointed}
          aria-valuetext={`${piece}, token ${pointed + 1} of ${last + 1}`}
          onInput={(event) => setDragged({ from: token, to: event.currentTarget.valueAsNumber })}
          onChange={(event) => follow(event.currentTarget.valueAsNumber)}
        />
      </label>
      <button type="button" disabled={token === last} onClick={() => follow(token + 1)}>
        Next token
      </button>
    </div>
  );
}

/** Starts to follow a token that is not known yet. */
function Follow({ reading, token }: { reading: Reading; token: number }) {
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

/** The figure of a token, with words for the layer that is looked at. */
function Layers({ reading, colours, observation, token }: Props & { observation: Observation; token: number }) {
  const rows = useMemo(() => layerRows(observation), [observation]);
  const table = useMemo(() => layersTable(rows), [rows]);
  const shown = indexChoice('layer', rows.length - 1);
  return (
    <Figure
      title={`One token, layer by layer: ${quoted(observation.piece)}`}
      name={`mixtab-token-${token}`}
      table={() => table}
      draw={(width) => drawLayers(rows, { shown, colours }, width)}
      choice={{ mark: shown, onChange: (layer) => choose({ layer: String(layer) }) }}
      link={() => readingLink(reading)}
      legend={<LayerSlider count={rows.length} shown={shown} />}
      words={<Words row={rows[shown]} />}
    >
      <Story rows={rows} next={observation.nextPiece} />
    </Figure>
  );
}

/** What happens to the token from the first layer to the last, and how to read the columns. */
function Story({ rows, next }: { rows: readonly LayerRow[]; next: string | undefined }) {
  const final = rows.at(-1)!.predictions[0];
  const choices = rows[0].experts.length;
  return (
    <>
      <p>
        The token enters at layer 0 as a list of numbers, the <em>residual</em>. Each layer adds to it: first{' '}
        <em>attention</em>, which looks at the tokens before, then the {choices === 1 ? 'expert' : `${choices} experts`}{' '}
        that the router chose, each times its weight. After the last layer the model predicts {quoted(final.text)} (
        {formatProbability(final.probability)}) as the next token
        {next !== undefined && `; in the text, ${quoted(next)} follows`}. That prediction is the first from layer{' '}
        {settledAt(rows)} on.
      </p>
      <p>
        <strong>Router</strong>: how much it prefers each expert; the coloured ones are chosen.{' '}
        <span class="wide-figure">
          <strong>Chosen</strong>: their weights, the softmax of their scores, which add up to 100%.{' '}
          <strong>Added, and sum</strong>: how long the added vectors are (a longer one changes the token more), grey
          for attention, inside the outline of the residual.{' '}
        </span>
        <strong>Prediction</strong>: the likeliest next token if the model ended after this layer; the vertical line is
        the probability of the token that really follows.
      </p>
    </>
  );
}

function LayerSlider({ count, shown }: { count: number; shown: number }) {
  return (
    <label class="slider">
      <span class="hint">Layer {shown}</span>
      <input
        type="range"
        aria-label="Layer of the token"
        min={0}
        max={count - 1}
        value={shown}
        aria-valuetext={`Layer ${shown} of 0 to ${count - 1}`}
        onInput={(event) => choose({ layer: event.currentTarget.value })}
      />
    </label>
  );
}

/** The layer that is looked at in words, with the likeliest tokens after it. */
function Words({ row }: { row: LayerRow }) {
  return (
    <div class="layer-words" aria-live="polite">
      {layerSentences(row).map((sentence) => (
        <p key={sentence}>{sentence}</p>
      ))}
      <p>Router scores, by expert:</p>
      <ol class="likeliest" aria-label={`Router scores in layer ${row.layer}`}>
        {row.scores.map((score, expert) => (
          <li key={expert}>
            {expert}: {score.toFixed(2)}
          </li>
        ))}
      </ol>
      <p>Likeliest next tokens after this layer:</p>
      <ol class="likeliest" aria-label={`Likeliest next tokens after layer ${row.layer}`}>
        {row.predictions.map(({ text, probability }, rank) => (
          <li key={rank}>
            <span>{quoted(text)}</span> {formatProbability(probability)}
          </li>
        ))}
      </ol>
    </div>
  );
}
