/** The engine: owns at most one loaded model and at most one running request. */
import type {
  EngineApi,
  ExpertsReport,
  GenerateEvent,
  GenerateRequest,
  GenerateResult,
  LoadedModel,
  LoadProgress,
  LoadRequest,
  Observation,
  ObserveRequest,
  ProbeReport,
  ScoreRequest,
  ScoreResult,
} from '../../src/contract/engine-api.ts';
import { errorFromData, errorToData, MixtabError, throwIfAborted } from '../../src/contract/errors.ts';
import { type Bytes, type TokenId, tokenId } from '../../src/contract/ids.ts';
import type { Compute } from '../compute/compute.ts';
import { ModelRecords } from '../compute/model-records.ts';
import { watched } from '../compute/watched.ts';
import type { ModelManifest } from '../format/manifest.ts';
import { Generator } from '../generate/generate.ts';
import { isComputedBy } from '../generate/session.ts';
import { summarize } from '../store/catalog.ts';
import { type HandOver, HandOverReceiver } from '../store/hand-over.ts';
import { sha256Hex } from '../store/hash.ts';
import type { RecordReader } from '../store/record-reader.ts';
import { importEnded, readWhenStored } from '../store/record-requests.ts';
import { type SessionOwner, SessionStore } from '../store/session-store.ts';
import type { RecordStore } from '../store/store.ts';
import { templateOf } from '../text/chat-formats.ts';
import { createTokenizer } from '../text/create-tokenizer.ts';
import { ComputeLoader } from './compute-loader.ts';
import { probe } from './probe.ts';
import { Prompts } from './prompts.ts';
import { measureReadRate } from './read-rate.ts';

interface Loaded {
  manifest: ModelManifest;
  compute: Compute;
  generator: Generator;
  prompts: Prompts;
}

/** Options of {@link Engine}, all with a default. */
export interface EngineOptions {
  /** Reads weights; default: from the store directly. */
  reader?: RecordReader;
  sessions?: SessionStore;
  /** Has the GPU's device. */
  loader?: ComputeLoader;
  /** Gets records from the page's import worker. */
  handOvers?: HandOverReceiver;
}

/** Implements {@link EngineApi}: owns at most one loaded model and at most one running request. */
export class Engine implements EngineApi {
  #loaded: Loaded | undefined;
  #busy = false;
  /**
   * Sessions that are being saved or restored. The page does this without being asked, so other calls wait for it
   * instead of failing. Never rejects.
   */
  #session: Promise<unknown> | undefined;
  /** Of the running request, if it can be stopped. */
  #running: AbortController | undefined;

  readonly #reader: RecordReader;
  readonly #sessions: SessionStore;
  readonly #loader: ComputeLoader;
  readonly #handOvers: HandOverReceiver;

  constructor(
    private readonly store: RecordStore,
    { reader, sessions, loader, handOvers }: EngineOptions = {},
  ) {
    this.#reader = reader ?? {
      read: (id, record, signal, form) => readWhenStored(store, id, record, signal, form),
    };
    this.#sessions = sessions ?? new SessionStore();
    this.#loader = loader ?? new ComputeLoader();
    this.#handOvers = handOvers ?? new HandOverReceiver();
  }

  probe(): Promise<ProbeReport> {
    return probe();
  }

  load(request: LoadRequest, onProgress: (progress: LoadProgress) => void): Promise<LoadedModel> {
    return this.#exclusive('load', async () => {
      this.#release();
      checkLoadRequest(request);
      const running = new AbortController();
      const { signal } = running;
      const reportProgress = (progress: LoadProgress): void => {
        throwIfAborted(signal);
        onProgress(progress);
      };
      const handOver = this.#handOvers.take(request.modelId, signal);
      this.#running = running;
      try {
        return await this.#load(request, reportProgress, handOver);
      } catch (error) {
        this.#release();
        throw error;
      } finally {
        this.#running = undefined;
        handOver.release();
      }
    });
  }

  /** @param onProgress throws if the load was stopped */
  async #load(
    request: LoadRequest,
    onProgress: (progress: LoadProgress) => void,
    handOver: HandOver,
  ): Promise<LoadedModel> {
    const startedAt = performance.now();
    const { modelId } = request;
    const manifest = inFormat(await this.#loadableManifest(modelId, handOver), request);
    const records = new ModelRecords(handOver.before(this.#reader), manifest);
    onProgress({ phase: 'device', bytesDone: 0, bytesTotal: 0 });
    const { compute, report, adapter } = await this.#loader.load({ records, request, onProgress });
    this.#loaded = loadedModel(compute, manifest);
    await handOver.confirm(() => importEnded().then(() => this.store.getManifest(modelId)));
    return {
      summary: summarize(manifest),
      context: compute.context,
      slots: compute.slots,
      memory: compute.memory(),
      compute: report,
      ...(adapter && { adapter }),
      loadMs: performance.now() - startedAt,
    };
  }

  unload(): Promise<void> {
    return this.#exclusive('unload', async () => this.#release());
  }

  generate(request: GenerateRequest, onEvent: (event: GenerateEvent) => void): Promise<GenerateResult> {
    return this.#exclusive('generate', async () => {
      const { generator, compute, prompts } = this.#require();
      const { input } = request;
      prompts.requireFits(input, compute.context);
      const answer = { promptTokens: prompts.tokens(input), request, endTexts: prompts.endTexts(input), onEvent };
      return this.#stoppable((signal) => generator.generate({ ...answer, signal }));
    });
  }

  score(request: ScoreRequest, onProgress: (tokensDone: number, tokensTotal: number) => void): Promise<ScoreResult> {
    return this.#exclusive('score', async () => {
      const { generator } = this.#require();
      const tokens = this.#withoutBos(request.input);
      return this.#stoppable((signal) => generator.score(tokens, request, onProgress, signal));
    });
  }

  observe(
    request: ObserveRequest,
    onProgress: (tokensDone: number, tokensTotal: number) => void,
  ): Promise<Observation> {
    return this.#exclusive('observe', async () => {
      const { generator } = this.#require();
      const tokens = this.#withoutBos(request.input);
      return this.#stoppable((signal) => generator.observe(tokens, request, onProgress, signal));
    });
  }

  readRate(modelId: string, bytes: Bytes): Promise<number> {
    return this.#exclusive('readRate', async () => {
      const manifest = await this.store.getManifest(modelId);
      if (!manifest) throw modelNotFound(modelId);
      return measureReadRate(this.#reader, manifest, bytes);
    });
  }

  async experts(): Promise<ExpertsReport | undefined> {
    return this.#loaded?.generator.report();
  }

  async stop(): Promise<void> {
    this.#running?.abort();
  }

  async tokenize(text: string, limit = Number.POSITIVE_INFINITY): Promise<TokenId[]> {
    this.#require().prompts.requireFits({ kind: 'text', text }, limit);
    return this.#require().generator.tokenizer.encode(text, { addBos: false });
  }

  async pieces(text: string): Promise<string[]> {
    return this.#require().generator.piecesOf(await this.tokenize(text));
  }

  /**
   * Saves the KV cache and replaces an older session with this id. Removes the oldest other sessions to make room.
   * @param budget bytes that all sessions together may take
   * @returns bytes written; 0 if the cache is empty or larger than the budget, or if the model is still being imported
   * @throws MixtabError `aborted` if `stop` was called; after any error the older session is still there
   */
  saveSession(id: string, budget: Bytes): Promise<Bytes> {
    return this.#asSession('saveSession', () => this.#sessions.whileSaving(id, () => this.#save(id, budget)));
  }

  async #save(id: string, budget: Bytes): Promise<Bytes> {
    const loaded = this.#require();
    const { generator } = loaded;
    const bytes = generator.sessionBytes;
    if (bytes === 0 || bytes > budget) return 0;
    const owner = await this.#ownerOf(loaded);
    if (!owner) return 0;
    await this.#sessions.makeRoom(budget, bytes, id);
    const generation = ((await this.#sessions.header(id))?.generation ?? 0) + 1;
    try {
      const header = await this.#stoppable(async (signal) =>
        generator.saveSession(owner, (index, part) => {
          throwIfAborted(signal);
          return this.#sessions.putPart(id, generation, index, part);
        }),
      );
      await this.#sessions.putHeader(id, { ...header, generation });
    } catch (error) {
      await this.#sessions.removeParts(id, generation).catch(() => {}); // the first error is the one to report
      throw error;
    }
    return bytes;
  }

  /**
   * Fills the KV cache with a saved session. The next prompt is then computed from its first different token on.
   * @returns tokens restored; 0 if there is no such session, if the other backend computed it, if the model is still being
   *   imported, or if it was removed because it does not fit or is damaged
   */
  restoreSession(id: string): Promise<number> {
    return this.#asSession('restoreSession', async () => {
      const loaded = this.#require();
      const { generator } = loaded;
      const header = await this.#sessions.header(id);
      if (!header) return 0;
      if (!isComputedBy(header, loaded.compute.kind)) return 0; // of use again once the model is loaded there
      const owner = await this.#ownerOf(loaded);
      if (!owner) return 0;
      const getPart = (index: number): Promise<ArrayBuffer | undefined> =>
        this.#sessions.part(id, header.generation, index);
      const restored = await this.#watched(() => generator.restoreSession(header, owner, getPart));
      if (restored) return header.tokens.length;
      await this.#sessions.remove(id);
      return 0;
    });
  }

  /**
   * Identifies the weights by the hashes of all records. Those of a model that was loaded during its import are in its
   * manifest once the import has ended.
   * @returns undefined if it has not, or if another model was stored in the place of the loaded one
   */
  async #ownerOf(loaded: Loaded): Promise<SessionOwner | undefined> {
    const { id } = loaded.manifest;
    if (isPending(loaded.manifest)) {
      const stored = await this.store.getManifest(id);
      if (!stored || isPending(stored) || !agree(loaded.manifest, stored)) return undefined;
      loaded.manifest = { ...loaded.manifest, records: stored.records };
    }
    const hashes = loaded.manifest.records.map(({ key, sha256 }) => `${key} ${sha256}\n`).join('');
    const weights = await sha256Hex(new TextEncoder().encode(hashes));
    return { modelId: id, weights, compute: loaded.compute.kind };
  }

  /** @throws MixtabError `model-not-found`, `record-damaged` */
  async #loadableManifest(modelId: string, handOver: HandOver): Promise<ModelManifest> {
    const [offered, stored] = await Promise.all([handOver.manifest(), this.store.getManifest(modelId)]);
    const manifest = stored ?? offered ?? (await this.store.getPartial(modelId));
    if (!manifest) throw modelNotFound(modelId);
    if (manifest.state === 'damaged') {
      throw new MixtabError('record-damaged', `${manifest.name} is damaged.`, 'Repair it on the models page.');
    }
    return manifest;
  }

  /** The tokens of a text that is cut into windows: each of them gets a BOS of its own. */
  #withoutBos(input: GenerateRequest['input']): TokenId[] {
    const { addBos, bosId } = this.#require().manifest.tokenizer;
    const prompt = this.#require().prompts.tokens(input);
    return addBos && prompt[0] === bosId ? prompt.slice(1) : prompt;
  }

  #require(): Loaded {
    if (!this.#loaded) throw new MixtabError('no-model-loaded', 'No model is loaded.', 'Load a model first.');
    return this.#loaded;
  }

  /** Runs work on the loaded model with a signal that is aborted by {@link stop} and by a failure of its backend. */
  async #stoppable<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const running = new AbortController();
    const { failure } = this.#require().compute;
    // AbortSignal.any would need Chrome 116; the page runs in 113.
    const abort = (): void => running.abort(failure.reason);
    if (failure.aborted) abort();
    failure.addEventListener('abort', abort);
    this.#running = running;
    try {
      return await this.#watched(() => work(running.signal));
    } finally {
      this.#running = undefined;
      failure.removeEventListener('abort', abort);
    }
  }

  /**
   * Runs work on the loaded model. If its backend has failed, throws that error instead of any other outcome, and
   * abandons the model: after a failed upload, a slot may hold other weights than the engine assumes.
   */
  async #watched<T>(work: () => Promise<T>): Promise<T> {
    const { compute } = this.#require();
    try {
      return await watched(() => compute.failure, work);
    } finally {
      if (compute.failure.aborted) this.#release();
    }
  }

  #release(): void {
    this.#loaded?.generator.destroy();
    this.#loaded?.compute.destroy();
    this.#loaded = undefined;
  }

  /** Queues work on a session. Calls made in the meantime wait for it. */
  #asSession<T>(method: string, work: () => Promise<T>): Promise<T> {
    const result = (this.#session ?? Promise.resolve()).then(() => this.#alone(method, work));
    const settled = result
      .catch(() => {})
      .then(() => {
        if (this.#session === settled) this.#session = undefined;
      });
    this.#session = settled;
    return result;
  }

  /** Runs work after any session that is being saved or restored. @throws MixtabError `busy` */
  async #exclusive<T>(method: string, work: () => Promise<T>): Promise<T> {
    while (this.#session) await this.#session;
    return this.#alone(method, work);
  }

  /**
   * Runs work unless other work is running. Its errors say whether a model is still loaded.
   * @throws MixtabError `busy`
   */
  async #alone<T>(method: string, work: () => Promise<T>): Promise<T> {
    if (this.#busy) {
      throw new MixtabError('busy', `The engine is busy: ${method} has to wait.`, 'Wait until it is done, or stop it.');
    }
    this.#busy = true;
    try {
      return await work();
    } catch (error) {
      const known = error instanceof MixtabError ? error : errorFromData(errorToData(error));
      if (known !== error) known.cause = error;
      known.modelLost = this.#loaded === undefined;
      throw known;
    } finally {
      this.#busy = false;
    }
  }
}

function loadedModel(compute: Compute, manifest: ModelManifest): Loaded {
  const { tokenizer: data } = manifest;
  const bos = data.addBos ? tokenId(data.bosId) : undefined;
  const tokenizer = createTokenizer(data);
  const generator = new Generator({ compute, tokenizer, bos });
  return { manifest, compute, generator, prompts: new Prompts(manifest, tokenizer) };
}

/** The manifest with the chat format of the request, if it names one. @throws MixtabError `bad-request` */
function inFormat(manifest: ModelManifest, { chatFormat }: LoadRequest): ModelManifest {
  if (chatFormat === undefined) return manifest;
  return { ...manifest, tokenizer: { ...manifest.tokenizer, chatTemplate: templateOf(chatFormat) } };
}

/** @throws MixtabError `bad-request` */
function checkLoadRequest({ compute, threads, context, ...budgets }: LoadRequest): void {
  const { gpuBudgetBytes, ramBudgetBytes, cpuBudgetBytes } = budgets;
  if (compute !== undefined && !['auto', 'gpu', 'cpu'].includes(compute)) {
    throw new MixtabError('bad-request', `compute is ${compute}.`, 'Use auto, gpu or cpu.');
  }
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1)) {
    throw new MixtabError('bad-request', `threads is ${threads}; it must be a whole number of at least 1.`);
  }
  if (context !== undefined && !(Number.isInteger(context) && context >= 2)) {
    throw new MixtabError(
      'bad-request',
      `A context of ${context} positions is not possible.`,
      'Use a whole number of at least 2.',
    );
  }
  for (const [name, bytes] of Object.entries({ gpuBudgetBytes, ramBudgetBytes, cpuBudgetBytes })) {
    if (bytes !== undefined && !(bytes >= 0))
      throw new MixtabError('bad-request', `${name} is ${bytes}; it must not be negative.`);
  }
}

const modelNotFound = (id: string): MixtabError =>
  new MixtabError('model-not-found', `No model ${id} is stored.`, 'Import it first.');

/** Whether it lists records that were not stored yet. */
const isPending = ({ records }: ModelManifest): boolean => records.some(({ sha256 }) => sha256 === '');

/** Whether all records that were stored when a model was loaded are those of the stored model. */
function agree(loaded: ModelManifest, stored: ModelManifest): boolean {
  const hashes = new Map(stored.records.map(({ key, sha256 }) => [key, sha256]));
  return (
    stored.records.length === loaded.records.length &&
    loaded.records.every(({ key, sha256 }) => hashes.has(key) && (sha256 === '' || sha256 === hashes.get(key)))
  );
}
