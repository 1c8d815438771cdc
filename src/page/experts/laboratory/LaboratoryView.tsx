import { useDraft } from '../../../ui/use-draft.ts';
import { type LabTask, missingOf, runLaboratory, scoresKey, wordsKey } from '../../services/laboratory.ts';
import { PRESETS, type Preset } from '../../state/generation-settings.ts';
import { changesOf, type LabChange, type LabValues, labValues, MAX_SEED } from '../../state/lab-experiments.ts';
import { labScores, labStep, labWords, ownPrompt } from '../../state/laboratory.ts';
import { loaded } from '../../state/models.ts';
import { choices, choose, linkTo } from '../../state/route.ts';
import type { CopiedLink } from '../figure/CopyTools.tsx';
import { OwnText } from '../OwnText.tsx';
import { RunBar, useTokenCount } from '../RunBar.tsx';
import { OWN, SAMPLES } from '../texts/samples.ts';
import { TextSelect } from '../texts/TextSelect.tsx';
import { useTexts } from '../texts/use-texts.ts';
import { ExperimentList } from './ExperimentList.tsx';
import { PerplexityFigure } from './PerplexityFigure.tsx';
import { WrittenTexts } from './WrittenTexts.tsx';

const DEFAULT_PROMPT = 'Once upon a time';
/** Longer prompts are not part of a link. */
const MAX_LINKED_PROMPT = 500;
const DEFAULT_LENGTH = 40;
const MAX_LENGTH = 2000;

/** Compares the model with itself after changes to how it selects experts. */
export function LaboratoryView() {
  const { config } = loaded.value!.summary;
  const values = labValues(choices.value, config);
  const { task, known } = useTask(values);
  const scores = labScores.value?.key === scoresKey(task) ? labScores.value : undefined;
  const words = labWords.value?.key === wordsKey(task) ? labWords.value : undefined;
  return (
    <>
      <p class="hint">
        In each layer, a small network called the router scores the experts, and the{' '}
        {config.expertsPerToken === 1
          ? 'one with the best score processes'
          : `${config.expertsPerToken} with the best scores process`}{' '}
        the token. Does it matter which? Each experiment changes that choice and nothing else. It shows how well the
        changed model predicts a text, and how it continues a prompt, beside the original model. Your conversations
        always use the original model.
      </p>
      <Source />
      <Writing values={values} />
      <ExperimentList
        {...{ values, config, scores: scores?.rows ?? [] }}
        blocked={known ? undefined : 'Counting the tokens …'}
        onRun={(change) => void runLaboratory(task, [change])}
      />
      <RunSet {...{ task, known, changes: changesOf(values, config) }} />
      {scores && <PerplexityFigure scores={scores} link={linkWithPrompt} />}
      {words && <WrittenTexts words={words} scores={scores?.rows ?? []} link={linkWithPrompt} />}
    </>
  );
}

/** @returns what the choices of the address ask for, and whether the text is there and its tokens are counted */
function useTask({ seed }: LabValues): { task: LabTask; known: boolean } {
  const [text] = useTexts([textId()]);
  const textTokens = useTokenCount(text?.text ?? '');
  const known = text !== undefined && textTokens !== undefined;
  const writing = { prompt: promptOf(), preset: presetOf(), maxTokens: lengthOf(), seed };
  return { task: { text: text ?? { name: '', text: '' }, textTokens: textTokens ?? 0, ...writing }, known };
}

const textId = (): string => choices.value.text ?? SAMPLES[0].id;
const promptOf = (): string => choices.value.prompt ?? ownPrompt.value ?? DEFAULT_PROMPT;

/** The address bar never has the reader's prompt, so that it does not get into the browser's history unasked. */
function linkWithPrompt(): CopiedLink {
  const prompt = promptOf();
  if (prompt === DEFAULT_PROMPT) return { href: linkTo(choices.value) };
  if (prompt.length <= MAX_LINKED_PROMPT) return { href: linkTo({ ...choices.value, prompt }) };
  return { href: linkTo(choices.value), note: 'The prompt is too long to be part of it.' };
}

const presetOf = (): Preset => PRESETS.find(({ name }) => name === choices.value.preset) ?? PRESETS[0];

function lengthOf(): number {
  const length = Number(choices.value.length ?? DEFAULT_LENGTH);
  return Number.isInteger(length) && length >= 0 && length <= MAX_LENGTH ? length : DEFAULT_LENGTH;
}

function Source() {
  const id = textId();
  return (
    <section aria-labelledby="lab-text">
      <h2 id="lab-text">Text to predict</h2>
      <div class="lab-fields">
        <TextSelect id={id} />
      </div>
      {id === OWN && <OwnText />}
    </section>
  );
}

/** The prompt that all models continue, and how. */
function Writing({ values: { seed } }: { values: LabValues }) {
  const { field, drop } = useDraft(promptOf());
  return (
    <section aria-labelledby="lab-prompt">
      <h2 id="lab-prompt">Prompt to continue</h2>
      <textarea
        class="text-field"
        rows={2}
        aria-label="Prompt"
        {...field}
        onChange={(event) => {
          ownPrompt.value = event.currentTarget.value.trim() || undefined;
          choose({ prompt: '' });
          drop();
        }}
      />
      <div class="lab-fields">
        <label>
          <span>Sampling preset</span>
          <select value={presetOf().name} onChange={(event) => choose({ preset: event.currentTarget.value })}>
            {PRESETS.map(({ name }) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <WholeNumber label="Max answer length (0: none)" name="length" value={lengthOf()} max={MAX_LENGTH} />
        <WholeNumber label="Seed of random choices" name="seed" value={seed} max={MAX_SEED} />
      </div>
    </section>
  );
}

interface WholeNumberProps {
  label: string;
  /** The choice of the address. */
  name: string;
  value: number;
  max: number;
}

/** A whole number from 0. An invalid entry is replaced by the previous value. */
function WholeNumber({ label, name, value, max }: WholeNumberProps) {
  const { field, drop } = useDraft(String(value));
  return (
    <label>
      <span>{label}</span>
      <input
        type="number"
        min={0}
        max={max}
        step={1}
        {...field}
        onChange={({ currentTarget }) => {
          drop();
          if (currentTarget.validity.valid && currentTarget.value !== '') choose({ [name]: currentTarget.value });
          else currentTarget.value = String(value);
        }}
      />
    </label>
  );
}

/** Runs the whole set. What is known already is not run again. */
function RunSet({ task, known, changes }: { task: LabTask; known: boolean; changes: LabChange[] }) {
  const { models, tokensToRead, tokensToWrite } = missingOf(task, changes);
  const cost = [
    ...(tokensToRead > 0 ? [`${tokensToRead} tokens to read`] : []),
    ...(tokensToWrite > 0 ? [`up to ${tokensToWrite} to write`] : []),
  ].join(' and ');
  const blocked = (): string | undefined => {
    if (!known) return 'Counting the tokens …';
    if (task.textTokens < 2) return 'Enter a text of at least two tokens.';
    if (changes.length === 0) return 'Tick an experiment.';
    return models.length === 0 ? 'All results are below. Change something to run more.' : undefined;
  };
  const number = changes.length === 1 ? '1 experiment' : `${changes.length} experiments`;
  return (
    <section class="lab-run" aria-label="Run">
      <RunBar
        kind="laboratory"
        label={`Run ${number}`}
        cost={`${models.length} ${models.length === 1 ? 'model' : 'models'}: ${cost}`}
        blocked={blocked()}
        onRun={() => void runLaboratory(task, changes)}
      />
      {labStep.value && <p class="hint">Running now: {labStep.value}</p>}
    </section>
  );
}
