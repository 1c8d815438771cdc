import {
  type Continuations,
  changeSetup,
  continuations,
  currentAblation,
  currentChange,
  generateBoth,
  measureBoth,
  measured,
  measuredBefore,
  setup,
} from '../services/laboratory.ts';
import { commonLength, perplexityChange } from '../state/ablation.ts';
import { PRESETS } from '../state/generation-settings.ts';
import { loaded } from '../state/state.ts';
import { BanGrid } from './BanGrid.tsx';
import { costOf, RunBar, useTokenCount } from './RunBar.tsx';

/** The model beside itself with another way to choose experts. */
export function Laboratory() {
  return (
    <>
      <p class="hint">
        Change how experts are chosen, and see what the router is worth: the same request is computed as the model is,
        and changed. Your conversations keep the true model.
      </p>
      <Changes />
      <Words />
      <Perplexity />
    </>
  );
}

function Changes() {
  const config = loaded.value?.summary.config;
  if (!config) return null;
  const { random } = setup.value;
  const changed = currentChange();
  return (
    <section aria-labelledby="lab-changes">
      <h2 id="lab-changes">What is changed</h2>
      <div class="lab-fields">
        <label>
          <span>Experts a token uses</span>
          <select
            value={currentAblation().expertsUsed ?? ''}
            onChange={({ currentTarget: { value } }) =>
              changeSetup({ expertsUsed: value === '' ? undefined : Number(value) })
            }
          >
            <option value="">{config.expertsPerToken}, as the model does</option>
            {Array.from({ length: config.expertsPerToken - 1 }, (_, i) => config.expertsPerToken - 1 - i).map(
              (used) => (
                <option key={used} value={used}>
                  {used === 1 ? '1, its first choice' : `${used}, its first choices`}
                </option>
              ),
            )}
          </select>
        </label>
        <SetupNumber label="Seed, of experts and words" name="seed" min={0} max={4294967295} />
        <label class="check">
          <input
            type="checkbox"
            checked={random}
            onChange={(event) => changeSetup({ random: event.currentTarget.checked })}
          />{' '}
          Choose experts at random
        </label>
      </div>
      <BanGrid config={config} />
      <p>{changed ? `Changed: ${changed}.` : 'Nothing is changed yet.'}</p>
    </section>
  );
}

/** Why nothing can be compared; undefined where it can. */
const unchanged = (): string | undefined =>
  currentChange() === '' ? 'Change something above first: there is nothing to compare.' : undefined;

function Words() {
  const { prompt, preset, maxTokens } = setup.value;
  return (
    <section aria-labelledby="lab-words">
      <h2 id="lab-words">What it writes</h2>
      <textarea
        class="text-field"
        rows={2}
        aria-label="Prompt"
        value={prompt}
        onInput={(event) => changeSetup({ prompt: event.currentTarget.value })}
      />
      <div class="lab-fields">
        <label>
          <span>Choice of words</span>
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
        <SetupNumber label="Tokens, at most" name="maxTokens" min={1} max={2000} />
      </div>
      <RunBar
        kind="generating"
        label="Write with both"
        cost={`2 × ${maxTokens} tokens to write, at most`}
        blocked={prompt.trim() === '' ? 'Give a prompt.' : unchanged()}
        onRun={() => void generateBoth()}
      />
      {continuations.value && <BothTexts writing={continuations.value} />}
    </section>
  );
}

function BothTexts({ writing: { changed, prompt, exact, altered = '' } }: { writing: Continuations }) {
  const same = commonLength(exact, altered);
  return (
    <div class="both">
      <article aria-label="The true model">
        <h3>The true model</h3>
        <p class="plain">
          <span class="prompt">{prompt}</span>
          {exact}
        </p>
      </article>
      <article aria-label="The changed model">
        <h3>Changed: {changed}</h3>
        <p class="plain">
          <span class="prompt">{prompt}</span>
          {altered.slice(0, same)}
          {altered.length > same && <mark title="From here on it differs">{altered.slice(same)}</mark>}
        </p>
        {altered !== '' && altered === exact && <p class="hint">The same words.</p>}
      </article>
    </div>
  );
}

function Perplexity() {
  const { text } = setup.value;
  const tokens = useTokenCount(text);
  return (
    <section aria-labelledby="lab-perplexity">
      <h2 id="lab-perplexity">How well it predicts</h2>
      <textarea
        class="text-field"
        rows={5}
        aria-label="Text to predict"
        value={text}
        onInput={(event) => changeSetup({ text: event.currentTarget.value })}
      />
      <RunBar
        kind="measuring"
        label="Measure both"
        cost={costOf(tokens, measuredBefore() ? '' : '2 × ')}
        blocked={tokens !== undefined && tokens < 2 ? 'Give a text of at least two tokens.' : unchanged()}
        onRun={() => void measureBoth()}
      />
      {measured.value && measured.value.rows.length > 0 && (
        <>
          <div class="table-scroll">
            <table class="measured">
              <thead>
                <tr>
                  <th scope="col">Changed</th>
                  <th scope="col">True model</th>
                  <th scope="col">Changed model</th>
                  <th scope="col">Difference</th>
                </tr>
              </thead>
              <tbody>
                {measured.value.rows.map(({ id, changed, exact, altered }) => (
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
            Perplexity over {measured.value.exact.tokens} tokens: among how many equally likely tokens the model wavers.
            Lower is better.
          </p>
        </>
      )}
    </section>
  );
}

/** A whole number of the setup; what is none, or out of range, goes back to what was. */
function SetupNumber({
  label,
  name,
  min,
  max,
}: {
  label: string;
  name: 'seed' | 'maxTokens';
  min: number;
  max: number;
}) {
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
