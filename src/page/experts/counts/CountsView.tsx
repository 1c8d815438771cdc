import type { ModelConfig } from '../../../contract/import-api.ts';
import { formatCount } from '../../../ui/format.ts';
import { read } from '../../services/text-routing.ts';
import { loaded } from '../../state/models.ts';
import { ownText, reading } from '../../state/text-routing.ts';
import { Figure } from '../figure/Figure.tsx';
import { Legend } from '../figure/Legend.tsx';
import { RunBar, readingCost, useTokenCount } from '../RunBar.tsx';
import { percent } from '../routing.ts';
import { type Counting, compareCosts, costTable, countModel, PART_NAMES, partTable, powerText } from './counting.ts';
import { drawCosts, drawParts } from './draw-counts.tsx';

/** What the loaded model stores and what it computes per token, from its header. */
export function CountsView() {
  const { config, figures, name } = loaded.value!.summary;
  const counting = countModel(config, figures);
  const costs = compareCosts(counting, figures);
  return (
    <>
      <p class="hint">
        Parameters are the numbers that a model has learned. A mixture of experts stores many of them, but uses only
        some for each token, because a router chooses a few experts per layer. All numbers on this page are those of{' '}
        {name}, from the header of its file.
      </p>
      <Figure
        title="Where the parameters are"
        name="mixtab-parameters"
        table={() => partTable(counting)}
        draw={(width) => drawParts(counting, width)}
        legend={<Legend label="Parts" names={counting.parts.map(({ part }) => PART_NAMES[part])} />}
      >
        The model stores {formatCount(counting.stored)} parameters. A token uses {formatCount(counting.active)} of them
        ({percent(counting.active / counting.stored, 0)}): everything that is shared, and {config.expertsPerToken} of{' '}
        {config.expertCount} experts in each of {config.layerCount} layers. Both bars have the same scale.
      </Figure>
      <NameExplained config={config} counting={counting} />
      <Figure
        title="Memory and compute beside dense models"
        name="mixtab-costs"
        table={() => costTable(costs)}
        draw={(width) => drawCosts(costs, width)}
      >
        A dense model uses all its parameters for every token. Compared with one of its total size, the mixture needs
        the same memory but {(costs[2].operations / costs[0].operations).toFixed(1)} times less compute. Compared with
        one of its active size, it needs the same compute but {(costs[0].memory / costs[1].memory).toFixed(1)} times the
        memory. Weights have {figures.bitsPerWeight.toFixed(1)} bits, as in this file. Each weight counts as a
        multiplication and an addition. Attention to earlier tokens comes on top, and is the same for all three.
      </Figure>
      <Paths config={config} counting={counting} />
    </>
  );
}

/** Why `8 x 7B` is not 56 billion. */
function NameExplained({ config, counting }: { config: ModelConfig; counting: Counting }) {
  const { expertCount } = config;
  const single = formatCount(counting.single);
  return (
    <section aria-labelledby="name-explained">
      <h2 id="name-explained">
        Why “{expertCount} × {single.replace(/\s/g, '')}” is not {formatCount(counting.named)}
      </h2>
      <p>
        With one expert per layer, this would be a dense model of {single} parameters. That is where names such as “8 ×
        7B” come from. But the model is not {expertCount} complete models: only the experts exist {expertCount} times.
        Attention, embedding and everything else, {formatCount(counting.shared)}, are shared. So it stores{' '}
        {formatCount(counting.shared)} + {counting.experts} experts × {formatCount(counting.oneExpert)} ={' '}
        {formatCount(counting.stored)}, not {expertCount} × {single} = {formatCount(counting.named)}.
      </p>
    </section>
  );
}

/** How many paths there are, and how many a text took. */
function Paths({ config, counting }: { config: ModelConfig; counting: Counting }) {
  const { layerCount, expertCount, expertsPerToken } = config;
  const tokens = useTokenCount(ownText.value);
  const shown = reading.value?.modelId === loaded.value?.summary.id ? reading.value : undefined;
  const choice = expertsPerToken === 1 ? 'experts' : expertsPerToken === 2 ? 'pairs' : `sets of ${expertsPerToken}`;
  return (
    <section aria-labelledby="paths">
      <h2 id="paths">Experts, {choice} and paths</h2>
      <dl class="expert-figures">
        <dt>Experts</dt>
        <dd>
          {expertCount} per layer × {layerCount} layers = {counting.experts}
        </dd>
        <dt>Choices in one layer</dt>
        <dd>
          {expertsPerToken} of {expertCount} experts: {counting.setsPerLayer} {choice}
        </dd>
        <dt>Paths through all layers</dt>
        <dd>
          {counting.setsPerLayer}
          <sup>{layerCount}</sup> = <Power text={powerText(counting.paths)} />
        </dd>
        {shown && (
          <>
            <dt>Paths that a text took</dt>
            <dd>
              {shown.paths} different ones, for {shown.trace.pieces.length} tokens of the text read last
            </dd>
          </>
        )}
      </dl>
      <p class="hint">
        A token’s path is the {choice} that it takes, layer after layer. There are so many that two tokens rarely take
        the same one, unless they are the same word in a similar place.
      </p>
      {!shown && (
        <RunBar
          kind="routing"
          label="Count the paths of a text"
          cost={readingCost(tokens, { suffix: ': the text of the Routing tab' })}
          blocked={tokens === undefined ? 'Counting the tokens …' : tokens < 2 ? 'The text is too short.' : undefined}
          onRun={() => void read({ kind: 'text', text: ownText.value })}
        />
      )}
    </section>
  );
}

/** A number such as `2.05 × 10^46`, with its exponent raised. */
function Power({ text }: { text: string }) {
  const [number, exponent] = text.split('^');
  return (
    <>
      {number}
      {exponent && <sup>{exponent}</sup>}
    </>
  );
}
