/** Answers with a stand-in for the engine, which generates until the test says so. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type {
  EngineApi,
  GeneratedToken,
  GenerateRequest,
  GenerateResult,
  LoadedModel,
} from '../../contract/engine-api.ts';
import { aborted, MixtabError } from '../../contract/errors.ts';

vi.mock('../state/database.ts', () => import('../state/database-testing.ts'));
vi.stubGlobal('document', { documentElement: { style: {} } });
vi.stubGlobal('location', { hash: '' });
vi.stubGlobal('addEventListener', () => {});

const { conversations, current, currentId, currentPath, streaming } = await import('../state/conversations.ts');
const { addTurn, createConversation, pathOf } = await import('../state/conversation-tree.ts');
const { experiment, generating, stopHangs, stopping } = await import('../state/generation.ts');
const { DEFAULT_GENERATION } = await import('../state/generation-settings.ts');
const { loaded } = await import('../state/models.ts');
const { problem } = await import('../state/notices.ts');
const { Answers } = await import('./answers.ts');
const { EngineRuns } = await import('./engine-runs.ts');

const TEXT = 'Hello';
const MODEL = { summary: { id: 'm', name: 'M', hasChatTemplate: true }, context: 100 } as LoadedModel;

/** A chat whose user message has one answer, "old". */
function answeredChat(id: string) {
  const chat = createConversation({ id, kind: 'chat', generation: DEFAULT_GENERATION }, 0);
  const asked = addTurn(chat, { id: `${id}1`, parent: null, by: 'user', text: 'Hi', at: 0 });
  return addTurn(asked, { id: `${id}2`, parent: `${id}1`, by: 'model', text: 'old', at: 0 });
}

const result = (finishReason: GenerateResult['finishReason']) =>
  ({
    promptTokens: [],
    reusedTokens: 0,
    tokens: [],
    text: TEXT,
    finishReason,
    timings: {},
    cache: {},
  }) as unknown as GenerateResult;

let requests: GenerateRequest[] = [];
/** Ends the call of `generate` that is running. */
let endGeneration: ((finishReason: GenerateResult['finishReason']) => void) | undefined;
let prepare = async (): Promise<void> => {};

const engine = {
  async generate(request: GenerateRequest) {
    requests.push(request);
    if (endGeneration) expect.fail('two generations at once');
    const finishReason = await new Promise<GenerateResult['finishReason']>((resolve) => (endGeneration = resolve));
    endGeneration = undefined;
    return result(finishReason);
  },
  async stop() {
    endGeneration?.('aborted');
  },
};

let recover = async (_signal: AbortSignal): Promise<boolean> => false;
const loader = {
  recover: (signal: AbortSignal) => recover(signal),
  async reload() {
    loaded.value = MODEL;
  },
};

let answers: InstanceType<typeof Answers>;
let runs: InstanceType<typeof EngineRuns>;

beforeEach(() => {
  requests = [];
  endGeneration = undefined;
  prepare = async () => {};
  problem.value = undefined;
  conversations.value = ['a', 'b'].map(answeredChat);
  currentId.value = 'a';
  loaded.value = MODEL;
  runs = new EngineRuns(engine);
  recover = async () => false;
  answers = new Answers({ engine, runs, sessions: { prepare: () => prepare(), answered: () => {} }, loader });
});

afterEach(() => runs.stopAndWait());

const lastText = (id: string) =>
  pathOf(conversations.value.find((conversation) => conversation.id === id)!).at(-1)?.text;

it('stops the answer in another conversation before it regenerates one', async () => {
  const first = answers.send('And?');
  await vi.waitFor(() => expect(endGeneration).toBeDefined());
  currentId.value = 'b';
  const second = answers.regenerate(currentPath.value[1]);
  await first;
  await vi.waitFor(() => expect(requests).toHaveLength(2));
  expect(generating.value).toBe(true);
  endGeneration?.('stop');
  await second;
  expect(problem.value).toBeUndefined();
  expect([lastText('a'), lastText('b')]).toEqual([TEXT, TEXT]);
  expect([generating.value, stopping.value]).toEqual([false, false]);
});

it('leaves no empty turn if it is stopped before the request', async () => {
  let endPrepare = (): void => {};
  prepare = () => new Promise((resolve) => (endPrepare = resolve));
  const answer = answers.send('And?');
  await vi.waitFor(() => expect(generating.value).toBe(true));
  runs.stop();
  endPrepare();
  await answer;
  expect(requests).toEqual([]);
  expect(current.value?.turns.map(({ text }) => text)).toEqual(['Hi', 'old', 'And?']);
  expect(problem.value).toBeUndefined();
});

it('keeps the earlier version if the engine fails, and shows the error', async () => {
  prepare = () => Promise.reject(new Error('the worker is gone'));
  await answers.regenerate(currentPath.value[1]);
  expect(lastText('a')).toBe('old');
  expect(problem.value?.message).toBe('the worker is gone');
});

it.each(['worker-failed', 'out-of-memory', 'webgpu-device-lost', 'gpu-out-of-memory'] as const)(
  'keeps the message and what was written of its answer after %s, and has no model then',
  async (code) => {
    const generate: EngineApi['generate'] = async (_request, onEvent) => {
      for (const text of ['It', ' was']) onEvent({ type: 'token', token: { text } as GeneratedToken });
      throw new MixtabError(code, 'It is gone.');
    };
    const failing = new Answers({
      engine: { generate },
      runs,
      sessions: { prepare: async () => {}, answered: () => {} },
      loader,
    });
    await failing.send('And?');
    expect(current.value?.turns.map(({ text }) => text)).toEqual(['Hi', 'old', 'And?', 'It was']);
    expect([problem.value?.code, loaded.value, generating.value]).toEqual([code, undefined, false]);
  },
);

it('does not show a cancelled answer as an error', async () => {
  prepare = () => Promise.reject(aborted());
  await answers.regenerate(currentPath.value[1]);
  expect([lastText('a'), problem.value]).toEqual(['old', undefined]);
});

it('says so if the engine does not stop, and keeps the text when the engine is ended', async () => {
  vi.useFakeTimers();
  try {
    let restart = (): void => {};
    const hanging: Pick<EngineApi, 'generate' | 'stop'> = {
      async generate(_request, onEvent) {
        onEvent({ type: 'token', token: { text: 'It' } as GeneratedToken });
        return new Promise((_, reject) => (restart = () => reject(aborted())));
      },
      stop: async () => {},
    };
    const sessions = { prepare: async () => {}, answered: () => {} };
    runs = new EngineRuns(hanging);
    const answer = new Answers({ engine: hanging, runs, sessions, loader }).send('And?');
    await vi.advanceTimersByTimeAsync(100);
    runs.stop();
    await vi.advanceTimersByTimeAsync(5000);
    expect([stopping.value, stopHangs.value]).toEqual([true, false]);
    await vi.advanceTimersByTimeAsync(5000);
    expect([stopping.value, stopHangs.value]).toEqual([true, true]);
    restart();
    await answer;
    expect([lastText('a'), problem.value]).toEqual(['It', undefined]);
    expect([generating.value, stopping.value, stopHangs.value]).toEqual([false, false, false]);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(stopHangs.value).toBe(false);
  } finally {
    vi.useRealTimers();
  }
});

it('sends the text to the conversation that it was written for, though another one is opened meanwhile', async () => {
  const first = answers.regenerate(pathOf(current.value!).at(-1)!);
  await vi.waitFor(() => expect(endGeneration).toBeDefined());
  currentId.value = 'b';
  const sent = answers.send('Still there?');
  currentId.value = 'a';
  await first;
  await vi.waitFor(() => expect(requests).toHaveLength(2));
  endGeneration!('stop');
  await sent;
  const b = conversations.value.find(({ id }) => id === 'b')!;
  expect(pathOf(b).map(({ text }) => text)).toEqual(['Hi', 'old', 'Still there?', TEXT]);
  expect(currentPath.value.map(({ text }) => text)).not.toContain('Still there?');
});

it('keeps the text if something else got the engine while it waited', async () => {
  const first = answers.regenerate(pathOf(current.value!).at(-1)!);
  await vi.waitFor(() => expect(endGeneration).toBeDefined());
  currentId.value = 'b';
  const sent = answers.send('Still there?');
  experiment.value = { kind: 'routing', done: 0, total: 0 };
  await first;
  await sent;
  experiment.value = undefined;
  expect(currentPath.value.map(({ text }) => text)).toEqual(['Hi', 'old', 'Still there?']);
  expect(requests).toHaveLength(1);
});

describe('after a lost device', () => {
  const lost = () => new MixtabError('webgpu-device-lost', 'The browser took the GPU away.');
  /** What each call of `generate` writes; undefined: and then the device is lost. */
  let script: { texts: string[]; ends: boolean }[];
  /** The text on the page when the model was loaded again. */
  let shown: (string | undefined)[];

  beforeEach(() => {
    shown = [];
    recover = async () => {
      shown.push(streaming.value?.text, problem.value?.message);
      return true;
    };
    const generate: EngineApi['generate'] = async (request, onEvent) => {
      requests.push(request);
      const { texts, ends } = script.shift()!;
      for (const text of texts)
        onEvent({ type: 'token', token: { id: text.length, text } as unknown as GeneratedToken });
      await new Promise((resolve) => setTimeout(resolve, 60)); // the page shows the text
      if (!ends) throw lost();
      const tokens = [...(request.resume ?? []), ...texts.map((text) => ({ text }) as GeneratedToken)];
      return { ...result('stop'), tokens, text: tokens.map(({ text }) => text).join('') };
    };
    const sessions = { prepare: async () => {}, answered: () => {} };
    answers = new Answers({ engine: { generate }, runs, sessions, loader });
  });

  it('the answer continues from its last token with the same seed, and its text stays', async () => {
    script = [
      { texts: ['It', ' was'], ends: false },
      { texts: [' fine', ' and'], ends: false },
      { texts: [' good'], ends: true },
    ];
    await answers.send('And?');
    expect(requests.map(({ resume = [] }) => resume.map(({ text }) => text))).toEqual([
      [],
      ['It', ' was'],
      ['It', ' was', ' fine', ' and'],
    ]);
    const seeds = requests.map(({ sampling }) => sampling?.seed);
    expect(seeds[0]).toEqual(expect.any(Number));
    expect(new Set(seeds).size).toBe(1);
    expect(shown).toEqual(['It was', undefined, 'It was fine and', undefined]);
    expect(currentPath.value.map(({ text }) => text)).toEqual(['Hi', 'old', 'And?', 'It was fine and good']);
    expect(currentPath.value.at(-1)?.stats?.tokens).toBe(5);
    expect([problem.value, generating.value]).toEqual([undefined, false]);
  });

  it('a question is answered whose first word was not written yet', async () => {
    script = [
      { texts: [], ends: false },
      { texts: ['Yes'], ends: true },
    ];
    await answers.send('And?');
    expect(requests[1].resume).toBeUndefined();
    expect(lastText('a')).toBe('Yes');
  });

  it('it gives up if no word is written in between, and continues after the button', async () => {
    script = [
      { texts: ['It'], ends: false },
      { texts: [], ends: false },
      { texts: [' was'], ends: true },
    ];
    await answers.send('And?');
    expect([problem.value?.code, loaded.value, lastText('a')]).toEqual(['webgpu-device-lost', undefined, 'It']);
    await answers.reloadAndResume();
    expect(requests[2].resume?.map(({ text }) => text)).toEqual(['It']);
    expect(requests[2].sampling).toEqual(requests[0].sampling);
    expect(currentPath.value.map(({ text }) => text)).toEqual(['Hi', 'old', 'And?', 'It was']);
  });

  it('the button also answers a question whose first word was never written', async () => {
    script = [
      { texts: [], ends: false },
      { texts: [], ends: false },
      { texts: ['Yes'], ends: true },
    ];
    await answers.send('And?');
    expect(lastText('a')).toBe('And?');
    await answers.reloadAndResume();
    expect(currentPath.value.map(({ text }) => text)).toEqual(['Hi', 'old', 'And?', 'Yes']);
    await answers.reloadAndResume(); // nothing is left to resume
    expect(requests).toHaveLength(3);
  });

  it('a continued answer continues where it was', async () => {
    script = [
      { texts: [' and', ' grey'], ends: false },
      { texts: [' and', ' tired'], ends: true },
    ];
    await answers.continueAnswer(currentPath.value.at(-1)!);
    expect(lastText('a')).toBe('old and grey and tired');
  });

  it('stop ends the wait for the device, and leaves a button', async () => {
    script = [{ texts: ['It'], ends: false }];
    recover = (signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve(false)));
    const answer = answers.send('And?');
    await vi.waitFor(() => expect(lastText('a')).toBe(''));
    await new Promise((resolve) => setTimeout(resolve, 100));
    await runs.stopAndWait();
    await answer;
    expect([problem.value?.code, lastText('a'), generating.value]).toEqual(['webgpu-device-lost', 'It', false]);
  });
});

it('answers a message that was left without an answer', async () => {
  conversations.value = conversations.value.map((conversation) => ({
    ...conversation,
    turns: conversation.turns.slice(0, 1),
  }));
  const answered = answers.answerMessage(currentPath.value[0]);
  await vi.waitFor(() => expect(endGeneration).toBeDefined());
  endGeneration?.('stop');
  await answered;
  expect(currentPath.value.map(({ text }) => text)).toEqual(['Hi', TEXT]);
});
