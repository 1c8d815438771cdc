import { useState } from 'preact/hooks';
import { inputOf, plainText, read as readText } from '../services/text-routing.ts';
import { followToken } from '../services/token-observation.ts';
import { current } from '../state/conversations.ts';
import { layer, ownText, type Reading, reading } from '../state/text-routing.ts';
import { OwnText } from './OwnText.tsx';
import { asCss, expertColours } from './palette.ts';
import { RoutingTable } from './RoutingTable.tsx';
import { RunBar, readingCost, useTokenCount } from './RunBar.tsx';
import { percent } from './routing.ts';
import { TokenText } from './TokenText.tsx';
import { TokenView } from './token/TokenView.tsx';

/** Which experts process which tokens of a text, as in section 5 of the Mixtral paper. */
export function RoutingView() {
  return (
    <>
      <p class="hint">The model reads a text, and each token is coloured by the expert that its router ranks first.</p>
      <Source />
      {reading.value && <Result reading={reading.value} />}
    </>
  );
}

/** Selects the text to read: the conversation or a text that the user enters. */
function Source() {
  const conversation = inputOf(current.value);
  const [own, setOwn] = useState(!conversation);
  const input = own || !conversation ? ({ kind: 'text', text: ownText.value } as const) : conversation;
  const tokens = useTokenCount(plainText(input));
  return (
    <section aria-label="Text">
      <fieldset class="presets">
        <legend class="visually-hidden">Source</legend>
        <label>
          <input
            type="radio"
            name="routing-source"
            checked={!own && !!conversation}
            disabled={!conversation}
            onChange={() => setOwn(false)}
          />
          <span>{conversation ? 'This conversation' : 'No conversation yet'}</span>
        </label>
        <label>
          <input type="radio" name="routing-source" checked={own || !conversation} onChange={() => setOwn(true)} />
          <span>Custom text</span>
        </label>
      </fieldset>
      {(own || !conversation) && <OwnText />}
      <RunBar
        kind="routing"
        label="Read text"
        cost={readingCost(tokens, input.kind === 'chat' ? { prefix: 'About ', suffix: ' plus the chat template' } : {})}
        blocked={
          tokens === undefined
            ? 'Counting the tokens …'
            : tokens < 2
              ? 'Enter a text of at least two tokens.'
              : undefined
        }
        onRun={() => void readText(input)}
      />
    </section>
  );
}

function Result({ reading: read }: { reading: Reading }) {
  const { model, config, tokens, perplexity, routing, trace } = read;
  const [numbers, setNumbers] = useState(false);
  const shownLayer = layer.value;
  const colours = expertColours(config.expertCount).map(asCss);
  return (
    <section aria-label="Routing">
      <h2>Layer {shownLayer}</h2>
      <div class="row">
        <label class="slider">
          <span class="hint">Layer</span>
          <input
            type="range"
            min={0}
            max={config.layerCount - 1}
            value={shownLayer}
            aria-valuetext={`Layer ${shownLayer} of 0 to ${config.layerCount - 1}`}
            onInput={(event) => (layer.value = event.currentTarget.valueAsNumber)}
          />
        </label>
        <label class="check">
          <input type="checkbox" checked={numbers} onChange={(event) => setNumbers(event.currentTarget.checked)} /> Show
          expert numbers
        </label>
      </div>
      <ul class="expert-chips" aria-label={`Experts of layer ${shownLayer} with their share of selections`}>
        {routing[shownLayer].use.map((share, expert) => (
          <li key={expert} style={{ background: colours[expert] }}>
            <strong>{expert}</strong> {percent(share)}
          </li>
        ))}
      </ul>
      <TokenText
        trace={trace}
        layer={shownLayer}
        layerCount={config.layerCount}
        colours={colours}
        numbers={numbers}
        onFollow={(token) => void followToken(token)}
      />
      <p class="hint">
        {tokens} tokens read by {model}. Perplexity: {perplexity.toFixed(2)}.
      </p>
      <TokenView reading={read} colours={colours} />
      <RoutingTable routing={routing} config={config} />
    </section>
  );
}
