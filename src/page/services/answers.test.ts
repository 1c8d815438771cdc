/** Answers with a stand-in for the engine, which generates until the test says so. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
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

const { conversations, current, currentId, currentPath } = await import('../state/conversations.ts');
const { addTurn, createConversation, pathOf } = await import('../state/conversation-tree.ts');
const { experiment, generating, stopping } = await import('../state/generation.ts');
const { DEFAULT_GENERATION } = await import('../state/generation-settings.ts');
const { loaded } = await import('../state/models.ts');
const { problem } = await import('../state/notices.ts');
const { Answers } = await import('./answers.ts');
const { EngineRuns } = await import('./engine-runs.ts');

const TEXT = 'Hello';

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

let answers: InstanceType<typeof Answers>;
let runs: InstanceType<typeof EngineRuns>;

beforeEach(() => {
  requests = [];
  endGeneration = undefined;
  prepare = async () => {};
  problem.value = undefined;
  conversations.value = ['a', 'b'].map(answeredChat);
  currentId.value = 'a';
  loaded.value = { summary: { id: 'm', name: 'M', hasChatTemplate: true }, context: 100 } as LoadedModel;
  runs = new EngineRuns(engine);
  answers = new Answers({ engine, runs, sessions: { prepare: () => prepare(), answered: () => {} } });
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
