import { useMemo } from 'preact/hooks';
import type { Comparison } from '../../state/paper.ts';
import { choices, choose } from '../../state/route.ts';
import { Figure } from '../figure/Figure.tsx';
import { Legend } from '../figure/Legend.tsx';
import { chanceOfCommon, chanceOfSame, percent } from '../routing.ts';
import { drawRepeats } from './draw-repeats.tsx';
import { type Repeats, repeatPoints, repeatTable } from './specialisation.ts';

const KINDS: readonly (readonly [Repeats, string])[] = [
  ['first', 'First choice'],
  ['any', 'At least one in common'],
];

/** How often consecutive tokens repeat their experts, by layer and text, as in table 5 of the Mixtral paper. */
export function RepeatsFigure({ comparison }: { comparison: Comparison }) {
  const { expertCount, expertsPerToken } = comparison.config;
  const repeats: Repeats = choices.value.repeats === 'any' && expertsPerToken > 1 ? 'any' : 'first';
  const chance = repeats === 'any' ? chanceOfCommon(expertCount, expertsPerToken) : chanceOfSame(expertCount);
  const lines = useMemo(
    () => comparison.texts.map((text) => ({ name: text.name, points: repeatPoints(text, repeats) })),
    [comparison, repeats],
  );
  return (
    <Figure
      title="Repeated choices of consecutive tokens"
      name={`mixtab-repeats-${repeats}`}
      table={() => repeatTable(comparison, repeats)}
      draw={(width) => drawRepeats(lines, chance, width)}
      legend={
        <>
          {expertsPerToken > 1 && (
            <fieldset class="presets">
              <legend class="visually-hidden">What repeats</legend>
              {KINDS.map(([kind, label]) => (
                <label key={kind}>
                  <input
                    type="radio"
                    name="repeats"
                    checked={kind === repeats}
                    onChange={() => choose({ repeats: kind === 'any' ? kind : '' })}
                  />
                  <span>{label}</span>
                </label>
              ))}
            </fieldset>
          )}
          <Legend label="Texts" names={lines.map(({ name }) => name)} expected="chance" />
        </>
      }
    >
      {repeats === 'first'
        ? 'How often a token is sent to the same first expert as the token before it.'
        : 'How often a token shares at least one expert with the token before it.'}{' '}
      If experts were drawn at random, it would be {percent(chance)} (dashed line). Lines above it mean that the router
      keeps neighbouring tokens together. Within a layer, the texts have the order of the legend. Unequal shares alone
      also raise it: the table has what the same text gives in random order.
    </Figure>
  );
}
