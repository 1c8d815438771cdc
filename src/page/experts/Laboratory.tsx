import type { ModelConfig } from '../../contract/import-api.ts';
import { generateBoth, isExactMeasured, measureBoth } from '../services/laboratory.ts';
import { commonLength, perplexityChange } from '../state/ablation.ts';
import { PRESETS } from '../state/generation-settings.ts';
import {
  type Continuations,
  changeSetup,
  continuations,
  currentAblation,
  currentChange,
  measured,
  setup,
} from '../state/laboratory.ts';
import { loaded } from '../state/models.ts';
import { BanGrid } from './BanGrid.tsx';
import { RunBar, readingCost, useTokenCount } from './RunBar.tsx';

/** Compares the model with itself after a change to how it selects experts. */
export function Laboratory() {
  return (
    <>
      <p class="hint">
        Change how experts are selected and compare the result with the original model. Your conversations always use
        the original model.
      </p>
      <Changes />
      <GeneratedTexts />
      <Perplexity />
    </>
  );
}

function Changes() {
  const config = loaded.value?.summary.config;
  if (!config) return null;
  const changed = currentChange();
  return (
    <section aria-labelledby="lab-changes">
      <h2 id="lab-changes">Changes</h2>
      <div class="lab-fields">
        <ExpertsPerToken config={config} />
        <SetupNumber label="Seed" name="seed" min={0} max={4294967295} />
        <label class="check">
          <input
            type="checkbox"
            checked={setup.value.random}
            onChange={(event) => changeSetup({ random: event.currentTarget.checked })}
          />{' '}
          Select experts at random
        </label>
      </div>
      <BanGrid config={config} />
      <p>{changed ? `Changed: ${changed}.` : 'No changes yet.'}</p>
    </section>
  );
}

function ExpertsPerToken({ config: { expertsPerToken } }: { config: ModelConfig }) {
  const fewer = Array.from({ length: expertsPerToken - 1 }, (_, i) => expertsPerToken - 1 - i);
  return (
    <label>
      <span>Experts per token</span>
      <select
        value={currentAblation().expertsUsed ?? ''}
        onChange={({ currentTarget: { value } }) =>
          changeSetup({ expertsUsed: value === '' ? undefined : Number(value) })
        }
      >
        <option value="">{expertsPerToken} (default)</option>
        {fewer.map((used) => (
          <option key={used} value={used}>
            {used === 1 ? '1 (first choice only)' : `${used} (first choices only)`}
          </option>
        ))}
      </select>
    </label>
  );
}

/** @returns why nothing can be compared yet, or undefined if something was changed */
const blockedUntilChanged = (): string | undefined =>
  currentChange() === '' ? 'Change something above first.' : undefined;

function GeneratedTexts() {
  const { prompt, preset, maxTokens } = setup.value;
  return (
    <section aria-labelledby="lab-texts">
      <h2 id="lab-texts">Compare generated text</h2>
      <textarea
        class="text-field"
        rows={2}
        aria-label="Prompt"
        value={prompt}
        onInput={(event) => changeSetup({ prompt: event.currentTarget.value })}
      />
      <div class="lab-fields">
        <label>
          <span>Sampling preset</span>
          <select
            value={preset.name}
            onChange={(event) =>
              changeSetup({ preset: PRESETS.find(({ name }) => name === event.currentTarget.value) ?? preset })
            }
          >
            {PRESETS.map(({ name }) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <SetupNumber label="Max answer length" name="maxTokens" min={1} max={2000} />
      </div>
      <RunBar
        kind="generating"
        label="Generate both"
        cost={`Up to 2 × ${maxTokens} tokens to generate`}
        blocked={prompt.trim() === '' ? 'Enter a prompt.' : blockedUntilChanged()}
        onRun={() => void generateBoth()}
      />
      {continuations.value && <BothTexts continuations={continuations.value} />}
    </section>
  );
}

/** Both texts, with the second one highlighted from the first difference on. */
function BothTexts({ continuations: { changed, prompt, exact, altered = '' } }: { continuations: Continuations }) {
  const same = commonLength(exact, altered);
  return (
    <div class="both">
      <article aria-label="Original model">
        <h3>Original model</h3>
        <p class="plain">
          <span class="prompt">{prompt}</span>
          {exact}
        </p>
      </article>
      <article aria-label="Changed model">
        <h3>Changed: {changed}</h3>
        <p class="plain">
          <span class="prompt">{prompt}</span>
          {altered.slice(0, same)}
          {altered.length > same && <mark title="The texts differ from here on">{altered.slice(same)}</mark>}
        </p>
        {altered !== '' && altered === exact && <p class="hint">Both texts are the same.</p>}
      </article>
    </div>
  );
}

function Perplexity() {
  const { text } = setup.value;
  const tokens = useTokenCount(text);
  return (
    <section aria-labelledby="lab-perplexity">
      <h2 id="lab-perplexity">Compare perplexity</h2>
      <textarea
        class="text-field"
        rows={5}
        aria-label="Text to score"
        value={text}
        onInput={(event) => changeSetup({ text: event.currentTarget.value })}
      />
      <RunBar
        kind="measuring"
        label="Measure both"
        cost={readingCost(tokens, { prefix: isExactMeasured() ? '' : '2 × ' })}
        blocked={tokens !== undefined && tokens < 2 ? 'Enter a text of at least two tokens.' : blockedUntilChanged()}
        onRun={() => void measureBoth()}
      />
      {measured.value && measured.value.rows.length > 0 && <PerplexityTable {...measured.value} />}
    </section>
  );
}

function PerplexityTable({ rows, exact: { tokens } }: NonNullable<typeof measured.value>) {
  return (
    <>
      <div class="table-scroll">
        <table class="measured">
          <thead>
            <tr>
              <th scope="col">Change</th>
              <th scope="col">Original model</th>
              <th scope="col">Changed model</th>
              <th scope="col">Difference</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ id, changed, exact, altered }) => (
              <tr key={id}>
                <th scope="row">{changed}</th>
                <td>{exact.toFixed(2)}</td>
                <td>{altered.toFixed(2)}</td>
                <td>{perplexityChange(exact, altered)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="hint">
        Perplexity over {tokens} tokens: roughly, how many equally likely tokens the model has to choose from. Lower is
        better.
      </p>
    </>
  );
}

interface SetupNumberProps {
  label: string;
  name: 'seed' | 'maxTokens';
  min: number;
  max: number;
}

/** An integer of the setup. An invalid entry is replaced by the previous value. */
function SetupNumber({ label, name, min, max }: SetupNumberProps) {
  return (
    <label>
      <span>{label}</span>
      <input
        type="number"
        min={min}
        max={max}
        step={1}
        value={setup.value[name]}
        onChange={({ currentTarget }) => {
          if (currentTarget.validity.valid && currentTarget.value !== '')
            changeSetup({ [name]: currentTarget.valueAsNumber });
          else currentTarget.value = String(setup.value[name]);
        }}
      />
    </label>
  );
}
