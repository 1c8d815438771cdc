/** A fake engine for tests of the client. It generates the given words, one per timer tick, until it is stopped. */
import type {
  ComputeReport,
  ExpertsReport,
  GeneratedToken,
  GenerateRequest,
  GenerateResult,
  LoadedModel,
  LoadRequest,
  Observation,
  ObserveRequest,
  ScoreRequest,
  ScoreResult,
} from '../contract/engine-api.ts';
import { aborted, MixtabError } from '../contract/errors.ts';
import { tokenId } from '../contract/ids.ts';
import type { ModelSummary } from '../contract/import-api.ts';
import type { Backend } from './backend.ts';

/** A backend without workers that records the calls it gets. */
export interface FakeEngine extends Backend {
  requests: GenerateRequest[];
  loads: LoadRequest[];
  scores: ScoreRequest[];
  observed: ObserveRequest[];
  /** Generations that are running. More than one is a bug in the client. */
  running: number;
  stops: number;
  /** The engine does not react to `stop`. */
  hangs: boolean;
  restarts: number;
  closed: boolean;
  /** What computes, in the reports of models loaded from now on. */
  compute: ComputeReport;
  /** The next generation fails with this error. */
  failure: MixtabError | undefined;
  /** Whether a model is loaded. A test sets it to false to let an error end the model. */
  hasModel: boolean;
  /** Text reported after the last token, like text that the engine holds back because it could begin a stop text. */
  heldBack: string;
}

const summary = (id: string): ModelSummary =>
  ({ id, name: `Model ${id}`, config: { layerCount: 2, expertsPerToken: 2 } }) as ModelSummary;

/** What a test sees and sets, before the first call. */
const newFields = (): Omit<FakeEngine, keyof Backend> => ({
  requests: [],
  loads: [],
  scores: [],
  observed: [],
  running: 0,
  stops: 0,
  hangs: false,
  restarts: 0,
  closed: false,
  compute: { kind: 'gpu', reason: 'gpu' },
  failure: undefined,
  hasModel: false,
  heldBack: '',
});

/** Creates a fake engine that generates `words`, one per token. */
export function fakeEngine(words: string[]): FakeEngine {
  const fields = newFields();
  let stopped = false;
  let endHang = (_error: MixtabError): void => {};
  const fake: FakeEngine = {
    ...fields,
    callback: (call) => call,
    close() {
      fake.closed = true;
    },
    restartEngine() {
      fake.restarts += 1;
      fake.hasModel = false;
      fake.running = 0;
      endHang(aborted());
    },
    importer: fakeImporter,
    engine: {
      score: answered(fields.scores, SCORE, [1, 3]),
      observe: answered(fields.observed, OBSERVATION, [2, 2]),
      experts: async () => (fake.hasModel ? EXPERTS : undefined),
      async load(request) {
        fake.loads.push(request);
        fake.hasModel = true;
        return { summary: summary(request.modelId), context: 10, compute: fake.compute } as LoadedModel;
      },
      async stop() {
        fake.stops += 1;
        stopped = true;
      },
      async generate(request, onEvent) {
        if (fake.running > 0) throw new MixtabError('busy', 'The engine is busy.');
        failIfSet(fake);
        fake.running += 1;
        fake.requests.push(request);
        stopped = false;
        if (fake.hangs) await new Promise((_, reject) => (endHang = reject));
        const tokens: GeneratedToken[] = [];
        for (const token of words.map(tokenOf)) {
          await new Promise((resolve) => setTimeout(resolve));
          if (stopped) break;
          tokens.push(token);
          onEvent({ type: 'token', token });
        }
        if (fake.heldBack && tokens.length > 0)
          onEvent({ type: 'token', token: { ...tokens.at(-1)!, text: fake.heldBack }, rest: true });
        fake.running -= 1;
        return {
          promptTokens: [tokenId(7), tokenId(8)],
          tokens,
          text: tokens.map(({ text }) => text).join('') + fake.heldBack,
          finishReason: tokens.length < words.length ? 'aborted' : 'stop',
        } as GenerateResult;
      },
    },
  };
  return fake;
}

/** @throws MixtabError the error that the next generation should fail with */
function failIfSet(fake: FakeEngine): void {
  const { failure } = fake;
  fake.failure = undefined;
  if (failure) throw failure;
}

function tokenOf(text: string, index: number): GeneratedToken {
  const bytes = [...new TextEncoder().encode(text)];
  const token = { id: tokenId(index), text, logprob: -index, bytes };
  return { ...token, top: [token] };
}

/** A method that notes its requests, reports some progress and answers with the same result every time. */
const answered =
  <Request, Result>(requests: Request[], result: Result, progress: [done: number, total: number]) =>
  async (request: Request, onProgress: (done: number, total: number) => void): Promise<Result> => {
    requests.push(request);
    onProgress(...progress);
    return result;
  };

const fakeImporter: Backend['importer'] = {
  list: async () => [summary('a')],
  unfinished: async () => [],
  async import(_source, onProgress) {
    onProgress({ phase: 'records', bytesDone: 1, bytesTotal: 2, recordsDone: 0, recordsTotal: 1 });
    return summary('b');
  },
  cancel: async () => {},
  pause: async () => {},
  async remove(id) {
    if (id !== 'a') throw new MixtabError('model-not-found', `No model ${id} is stored.`, 'Import it.');
  },
  verify: async () => ['L0.dense'],
  async repair(id, onProgress) {
    onProgress({ phase: 'records', bytesDone: 1, bytesTotal: 2, recordsDone: 0, recordsTotal: 1 });
    return summary(id);
  },
};

/** The score of a text of two tokens after BOS, with 2 layers and 2 experts per token. */
const SCORE = {
  tokens: 2,
  nll: 1,
  perplexity: Math.E,
  blocks: [{ tokens: 2, nll: 1 }],
  routing: [],
  paths: 3,
  trace: { pieces: ['', 'a', 'b'], selectedExperts: Uint8Array.from([0, 1, 2, 3, 4, 5, 6, 7, 0, 2, 4, 6]) },
} as unknown as ScoreResult;

/** The second token of that text in one layer. */
const OBSERVATION: Observation = {
  position: 1,
  piece: 'a',
  nextPiece: 'b',
  layers: [
    {
      routerLogits: [1, 0, -1, 2],
      selectedExperts: [3, 0],
      weights: [0.75, 0.25],
      before: 1,
      attention: 2,
      experts: [3, 4],
      residual: 5,
      top: [{ id: tokenId(7), logprob: -0.5, text: 'b' }],
      next: { logprob: -0.5, rank: 0 },
    },
  ],
};

/** The state of 2 layers of 3 experts. */
const EXPERTS = {
  layerCount: 2,
  expertCount: 3,
  residence: Uint8Array.from([2, 1, 0, 0, 2, 2]),
  uses: Uint32Array.from([5, 0, 0, 1, 2, 3]),
  newest: Uint8Array.from([1, 0, 0, 0, 0, 1]),
  cache: { slots: 3 },
  elapsedMs: 1,
  computeMs: 2,
  expertWaitMs: 3,
  memory: { gpuBytes: 4, ramBytes: 5 },
} as ExpertsReport;
