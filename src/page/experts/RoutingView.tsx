import { useEffect, useRef, useState } from 'preact/hooks';
import { followLink, isStored, openLinked, readAndFollow } from '../services/follow.ts';
import { inputOf, plainText } from '../services/text-routing.ts';
import { followToken } from '../services/token-observation.ts';
import { conversations, current } from '../state/conversations.ts';
import { loaded } from '../state/models.ts';
import { choices, choose, indexChoice } from '../state/route.ts';
import { ownText, type Reading, reading } from '../state/text-routing.ts';
import { followedToken, wanted } from '../state/token-observation.ts';
import { CopyTools } from './figure/CopyTools.tsx';
import { OwnText } from './OwnText.tsx';
import { asCss, expertColours } from './palette.ts';
import { RoutingTable } from './RoutingTable.tsx';
import { RunBar, readerOf, readingCost, useTokenCount } from './RunBar.tsx';
import { percent, tokensTable } from './routing.ts';
import { TokenText } from './TokenText.tsx';
import { readingLink } from './token/reading-link.ts';
import { TokenView } from './token/TokenView.tsx';

/** Which experts process which tokens of a text, as in section 5 of the Mixtral paper. */
export function RoutingView() {
  const { layerCount, expertCount, expertsPerToken } = loaded.value!.summary.config;
  const { custom, conversation } = choices.value;
  const shown = reading.value;
  const isOfLink = custom === undefined || (shown?.input.kind === 'text' && shown.input.text === custom);
  useEffect(() => {
    if (custom !== undefined) ownText.value = custom;
  }, [custom]);
  useEffect(() => {
    if (conversation !== undefined) openLinked(conversation);
  }, [conversation, conversations.value]);
  // A click on a token of an answer leads here.
  useEffect(() => {
    if (wanted.value) void followLink().then(() => document.getElementById('token-view')?.scrollIntoView());
  }, [wanted.value]);
  return (
    <>
      <p class="hint">
        The model sees a text as <em>tokens</em>: words, or parts of words. In each of its {layerCount} layers, a small
        network called the <em>router</em> gives every token a score for each of {expertCount} <em>experts</em>, which
        are larger networks, and only the {expertsPerToken} with the highest scores compute. Here the model reads a
        text, and each token has the colour of the expert with the highest score.
      </p>
      {conversation !== undefined && !isStored(conversation) && (
        <p role="status">
          The conversation of this link is not stored in this browser. A link of this kind only works where it was made.
        </p>
      )}
      <Source isShown={shown !== undefined && isOfLink} />
      {shown && isOfLink && <Result reading={shown} />}
    </>
  );
}

/** Selects the text to read: the conversation or a text that the user enters. */
function Source({ isShown }: { isShown: boolean }) {
  const conversation = inputOf(current.value);
  const { custom, source } = choices.value;
  const own = custom !== undefined || source === 'custom' || !conversation;
  const input = own ? ({ kind: 'text', text: ownText.value } as const) : conversation;
  const tokens = useTokenCount(plainText(input));
  const token = followedToken.value;
  return (
    <section aria-label="Text">
      <fieldset class="presets">
        <legend class="visually-hidden">Source</legend>
        <label>
          <input
            type="radio"
            name="routing-source"
            checked={!own}
            disabled={!conversation}
            onChange={() => choose({ source: '', custom: '', conversation: '' })}
          />
          <span>{conversation ? 'This conversation' : 'No conversation yet'}</span>
        </label>
        <label>
          <input
            type="radio"
            name="routing-source"
            checked={own}
            onChange={() => choose({ source: 'custom', custom: '', conversation: '' })}
          />
          <span>Custom text</span>
        </label>
      </fieldset>
      {own && <OwnText onEdit={() => custom !== undefined && choose({ source: 'custom', custom: '', token: '' })} />}
      {!isShown && token !== undefined && <p>Read the text to follow its token {token + 1} through the layers.</p>}
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
        onRun={() => {
          if (isShown) choose({ token: '' }); // it belongs to the reading before
          if (own) wanted.value = undefined; // a click in an answer is about the conversation
          void readAndFollow(input, own ? undefined : current.value?.id);
        }}
      />
    </section>
  );
}

function Result({ reading: read }: { reading: Reading }) {
  const { config, tokens, perplexity, routing, trace } = read;
  const [numbers, setNumbers] = useState(false);
  const shownLayer = indexChoice('layer', config.layerCount - 1);
  const colours = expertColours(config.expertCount).map(asCss);
  const coloured = useRef<HTMLDivElement>(null);
  const link = () => readingLink(read);
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
            onInput={(event) => choose({ layer: event.currentTarget.value })}
          />
        </label>
        <label class="check">
          <input type="checkbox" checked={numbers} onChange={(event) => setNumbers(event.currentTarget.checked)} /> Show
          expert numbers
        </label>
      </div>
      <div ref={coloured}>
        <Chips layer={shownLayer} shares={routing[shownLayer].use} colours={colours} />
        <TokenText
          trace={trace}
          layer={shownLayer}
          layerCount={config.layerCount}
          colours={colours}
          numbers={numbers}
          followed={followedToken.value}
          onFollow={(token) => void followToken(token)}
        />
      </div>
      <CopyTools
        title={`Tokens and their experts in layer ${shownLayer}`}
        name={`mixtab-routing-layer-${shownLayer}`}
        shown={coloured}
        table={() => tokensTable(trace, config.layerCount)}
        link={link}
      />
      <p class="hint">
        {tokens} tokens read by {readerOf(read)}. Perplexity: {perplexity.toFixed(2)}. That is, roughly, how many
        equally likely next tokens it had to choose from.
      </p>
      <TokenView reading={read} colours={colours} />
      <RoutingTable routing={routing} config={config} link={link} />
    </section>
  );
}

/** The colour of each expert, with its share of the layer's selections. */
function Chips({ layer, shares, colours }: { layer: number; shares: readonly number[]; colours: readonly string[] }) {
  return (
    <ul class="expert-chips" aria-label={`Experts of layer ${layer} with their share of selections`}>
      {shares.map((share, expert) => (
        <li key={expert} style={{ background: colours[expert] }}>
          <strong>{expert}</strong> {percent(share)}
        </li>
      ))}
    </ul>
  );
}
