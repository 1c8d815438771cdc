/** The engine: owns the GPU device, at most one loaded model and at most one running request. */
import type {
  AdapterReport,
  EngineApi,
  ExpertsReport,
  GenerateEvent,
  GenerateRequest,
  GenerateResult,
  LoadedModel,
  LoadProgress,
  LoadRequest,
  ProbeReport,
  ScoreRequest,
  ScoreResult,
} from '../../src/contract/engine-api.ts';
import { MixtabError, throwIfAborted } from '../../src/contract/errors.ts';
import type { Bytes, TokenId } from '../../src/contract/ids.ts';
import { reportAdapter, requestAdapter, requestDevice } from '../compute/gpu/device.ts';
import { DeviceHealth } from '../compute/gpu/errors.ts';
import type { GpuModel } from '../compute/gpu/gpu-model.ts';
import { loadModel } from '../compute/gpu/load-gpu-model.ts';
import { Readback } from '../compute/gpu/readback.ts';
import { ModelRecords } from '../compute/model-records.ts';
import type { ModelManifest } from '../format/manifest.ts';
import { Generator } from '../generate/generate.ts';
import { summarize } from '../store/catalog.ts';
import { sha256Hex } from '../store/hash.ts';
import type { RecordReader } from '../store/record-reader.ts';
import { readWhenStored } from '../store/record-requests.ts';
import { type SessionOwner, SessionStore } from '../store/session-store.ts';
import type { RecordStore } from '../store/store.ts';
import { promptTokens } from '../text/chat-template.ts';
import { createTokenizer } from '../text/create-tokenizer.ts';
import { probe } from './probe.ts';
import { measureReadRate } from './read-rate.ts';

interface Gpu {
  device: GPUDevice;
  adapter: AdapterReport;
  health: DeviceHealth;
}

interface Loaded {
  gpu: Gpu;
  gpuModel: GpuModel;
  generator: Generator;
}

/** Implements {@link EngineApi}: owns the GPU device, at most one loaded model and at most one running request. */
export class Engine implements EngineApi {
  #gpu: Gpu | undefined;
  #loaded: Loaded | undefined;
  #busy = false;
  /**
   * Sessions that are being saved or restored. The page does this without being asked, so other calls wait for it
   * instead of failing. Never rejects.
   */
  #session: Promise<unknown> | undefined;
  /** Of the running request, if it can be stopped. */
  #running: AbortController | undefined;

  /** @param reader reads weights; default: from the store directly */
  constructor(
    private readonly store: RecordStore,
    private readonly reader: RecordReader = { read: (id, record, signal) => readWhenStored(store, id, record, signal) },
    private readonly sessions = new SessionStore(),
  ) {}

  probe(): Promise<ProbeReport> {
    return probe();
  }

  load(request: LoadRequest, onProgress: (progress: LoadProgress) => void): Promise<LoadedModel> {
    return this.#exclusive('load', async () => {
      const startedAt = performance.now();
      this.#release();
      checkLoadRequest(request);
      const manifest = await this.#loadableManifest(request.modelId);
      onProgress({ phase: 'device', bytesDone: 0, bytesTotal: 0 });
      const gpu = await this.#acquireGpu();
      const { device, adapter } = gpu;
      const records = new ModelRecords(this.reader, manifest);
      const gpuModel = await this.#watched(gpu, () => loadModel({ device, adapter, records, request, onProgress }));
      this.#loaded = { gpu, gpuModel, generator: createGenerator(gpu, gpuModel) };
      return {
        summary: summarize(manifest),
        context: gpuModel.context,
        slots: gpuModel.slots,
        memory: { gpuBytes: gpuModel.gpuBytes(), ramBytes: gpuModel.experts.ramBytes },
        compute: { kind: 'gpu', reason: adapter.software ? 'software-gpu' : 'gpu' },
        adapter,
        loadMs: performance.now() - startedAt,
      };
    });
  }

  unload(): Promise<void> {
    return this.#exclusive('unload', async () => this.#release());
  }

  generate(request: GenerateRequest, onEvent: (event: GenerateEvent) => void): Promise<GenerateResult> {
    return this.#exclusive('generate', async () => {
      const { gpu, generator } = this.#require();
      const prompt = this.#promptOf(request.input);
      return this.#stoppable(gpu, (signal) => generator.generate({ promptTokens: prompt, request, onEvent, signal }));
    });
  }

  score(request: ScoreRequest, onProgress: (tokensDone: number, tokensTotal: number) => void): Promise<ScoreResult> {
    return this.#exclusive('score', async () => {
      const { gpu, gpuModel, generator } = this.#require();
      const { addBos, bosId } = gpuModel.manifest.tokenizer;
      const prompt = this.#promptOf(request.input);
      // Without BOS: every window gets its own.
      const tokens = addBos && prompt[0] === bosId ? prompt.slice(1) : prompt;
      return this.#stoppable(gpu, (signal) => generator.score(tokens, request, onProgress, signal));
    });
  }

  readRate(modelId: string, bytes: Bytes): Promise<number> {
    return this.#exclusive('readRate', async () => {
      const manifest = await this.store.getManifest(modelId);
      if (!manifest) throw modelNotFound(modelId);
      return measureReadRate(this.reader, manifest, bytes);
    });
  }

  async experts(): Promise<ExpertsReport | undefined> {
    return this.#loaded?.generator.report();
  }

  async stop(): Promise<void> {
    this.#running?.abort();
  }

  async tokenize(text: string): Promise<TokenId[]> {
    return this.#require().generator.tokenizer.encode(text, { addBos: false });
  }

  /**
   * Saves the KV cache and replaces an older session with this id. Removes the oldest other sessions to make room.
   * @param budget bytes that all sessions together may take
   * @returns bytes written; 0 if the cache is empty or larger than the budget
   * @throws MixtabError `aborted` if `stop` was called; after any error the older session is still there
   */
  saveSession(id: string, budget: Bytes): Promise<Bytes> {
    return this.#asSession('saveSession', async () => {
      const { gpu, gpuModel, generator } = this.#require();
      const bytes = generator.sessionBytes;
      if (bytes === 0 || bytes > budget) return 0;
      await this.sessions.makeRoom(budget, bytes, id);
      const generation = ((await this.sessions.header(id))?.generation ?? 0) + 1;
      try {
        const header = await this.#stoppable(gpu, async (signal) =>
          generator.saveSession(await ownerOf(gpuModel), (index, part) => {
            throwIfAborted(signal);
            return this.sessions.putPart(id, generation, index, part);
          }),
        );
        await this.sessions.putHeader(id, { ...header, generation });
      } catch (error) {
        await this.sessions.removeParts(id, generation).catch(() => {}); // the first error is the one to report
        throw error;
      }
      return bytes;
    });
  }

  /**
   * Fills the KV cache with a saved session. The next prompt is then computed from its first different token on.
   * @returns tokens restored; 0 if there is no such session, or it was removed because it does not fit or is damaged
   */
  restoreSession(id: string): Promise<number> {
    return this.#asSession('restoreSession', async () => {
      const { gpu, gpuModel, generator } = this.#require();
      const header = await this.sessions.header(id);
      if (!header) return 0;
      const owner = await ownerOf(gpuModel);
      const getPart = (index: number): Promise<Blob | undefined> => this.sessions.part(id, header.generation, index);
      const restored = await this.#watched(gpu, () => generator.restoreSession(header, owner, getPart));
      if (restored) return header.tokens.length;
      await this.sessions.remove(id);
      return 0;
    });
  }

  /** @throws MixtabError `model-not-found`, `record-damaged` */
  async #loadableManifest(modelId: string): Promise<ModelManifest> {
    const manifest = (await this.store.getManifest(modelId)) ?? (await this.store.getPartial(modelId));
    if (!manifest) throw modelNotFound(modelId);
    if (manifest.state === 'damaged') {
      throw new MixtabError('record-damaged', `${manifest.name} is damaged.`, 'Remove it and import it again.');
    }
    return manifest;
  }

  /** @throws MixtabError `chat-template` */
  #promptOf(input: GenerateRequest['input']): TokenId[] {
    const { gpuModel, generator } = this.#require();
    const { tokenizer } = generator;
    const { name, tokenizer: data } = gpuModel.manifest;
    if (input.kind === 'text') return tokenizer.encode(input.text, { addBos: data.addBos });
    if (!data.chatTemplate) {
      throw new MixtabError(
        'chat-template',
        `${name} has no chat template: it continues text, it does not answer.`,
        'Send plain text instead of messages.',
      );
    }
    const last = input.messages.at(-1);
    if (last?.role !== 'assistant') return promptTokens(tokenizer, data.chatTemplate, input.messages, data.addBos);
    // An answer to be continued: its text follows the prompt as if the model had just generated it.
    return [
      ...promptTokens(tokenizer, data.chatTemplate, input.messages.slice(0, -1), data.addBos),
      ...tokenizer.encode(last.content),
    ];
  }

  #require(): Loaded {
    if (!this.#loaded) throw new MixtabError('no-model-loaded', 'No model is loaded.', 'Load a model first.');
    return this.#loaded;
  }

  async #acquireGpu(): Promise<Gpu> {
    if (this.#gpu && !this.#gpu.health.failed) return this.#gpu;
    if (this.#gpu) this.#abandon(this.#gpu);
    const adapter = await requestAdapter();
    const device = await requestDevice(adapter);
    this.#gpu = { device, adapter: reportAdapter(adapter), health: new DeviceHealth(device) };
    return this.#gpu;
  }

  /** Runs GPU work with a signal that is aborted by {@link stop} and by a failure of the device. */
  async #stoppable<T>(gpu: Gpu, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const running = new AbortController();
    const failure = gpu.health.signal;
    // AbortSignal.any would need Chrome 116; the page runs in 113.
    const abort = (): void => running.abort(failure.reason);
    if (failure.aborted) abort();
    failure.addEventListener('abort', abort);
    this.#running = running;
    try {
      return await this.#watched(gpu, () => work(running.signal));
    } finally {
      this.#running = undefined;
      failure.removeEventListener('abort', abort);
    }
  }

  /**
   * Runs GPU work. If the device has failed, throws that error instead of any other outcome, and abandons the model and
   * the device: after a failed upload, a slot may hold other weights than the engine assumes.
   */
  async #watched<T>(gpu: Gpu, work: () => Promise<T>): Promise<T> {
    try {
      const result = await work();
      gpu.health.check();
      return result;
    } catch (error) {
      // The promises of a lost device are rejected before `device.lost` settles, so wait for that.
      await new Promise((resolve) => setTimeout(resolve));
      if (gpu.health.failed) this.#abandon(gpu);
      gpu.health.check();
      throw error;
    }
  }

  #abandon({ device }: Gpu): void {
    this.#release();
    device.destroy();
    this.#gpu = undefined;
  }

  #release(): void {
    this.#loaded?.generator.destroy();
    this.#loaded?.gpuModel.destroy();
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

  /** @throws MixtabError `busy` if other work is running */
  async #alone<T>(method: string, work: () => Promise<T>): Promise<T> {
    if (this.#busy) {
      throw new MixtabError('busy', `The engine is busy: ${method} has to wait.`, 'Wait until it is done, or stop it.');
    }
    this.#busy = true;
    try {
      return await work();
    } finally {
      this.#busy = false;
    }
  }
}

function createGenerator({ device, health }: Gpu, gpuModel: GpuModel): Generator {
  // This clock stops while the engine waits for experts, so the readback counts only waits for the GPU alone.
  const readback = new Readback(device, () => performance.now() - gpuModel.experts.waiting.ms);
  const tokenizer = createTokenizer(gpuModel.manifest.tokenizer);
  return new Generator({ gpu: gpuModel, tokenizer, readback, deviceFailure: health.signal });
}

/** @throws MixtabError `bad-request` */
function checkLoadRequest({ context, gpuBudgetBytes, ramBudgetBytes }: LoadRequest): void {
  if (context !== undefined && !(Number.isInteger(context) && context >= 2)) {
    throw new MixtabError(
      'bad-request',
      `A context of ${context} positions is not possible.`,
      'Use a whole number of at least 2.',
    );
  }
  for (const [name, bytes] of Object.entries({ gpuBudgetBytes, ramBudgetBytes })) {
    if (bytes !== undefined && !(bytes >= 0))
      throw new MixtabError('bad-request', `${name} is ${bytes}; it must not be negative.`);
  }
}

const modelNotFound = (id: string): MixtabError =>
  new MixtabError('model-not-found', `No model ${id} is stored.`, 'Import it first.');

/** Identifies the weights by the hashes of all records. */
async function ownerOf({ manifest }: GpuModel): Promise<SessionOwner> {
  const hashes = manifest.records.map(({ key, sha256 }) => `${key} ${sha256}\n`).join('');
  return { modelId: manifest.id, weights: await sha256Hex(new TextEncoder().encode(hashes)) };
}
