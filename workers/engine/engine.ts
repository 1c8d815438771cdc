/** The engine: owns the GPU device, at most one loaded model, at most one running generation. */
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
  ScoreRequest,
  ScoreResult,
} from '../../src/contract/engine-api.ts';
import { MixtabError } from '../../src/contract/errors.ts';
import type { Bytes, TokenId } from '../../src/contract/ids.ts';
import { reportAdapter, requestAdapter, requestDevice } from '../compute/gpu/device.ts';
import { DeviceHealth } from '../compute/gpu/errors.ts';
import { Readback } from '../compute/gpu/readback.ts';
import { isExpertKey } from '../format/manifest.ts';
import { Generator } from '../generate/generate.ts';
import type { GpuModel } from '../generate/loaded-model.ts';
import { summarize } from '../store/catalog.ts';
import { sha256Hex } from '../store/hash.ts';
import type { RecordReader } from '../store/record-reader.ts';
import { readWhenStored } from '../store/record-requests.ts';
import { type SessionOwner, SessionStore } from '../store/session-store.ts';
import type { RecordStore } from '../store/store.ts';
import { promptTokens } from '../text/chat-template.ts';
import { createTokenizer } from '../text/create-tokenizer.ts';
import { loadModel } from './load-model.ts';

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

export class Engine implements EngineApi {
  #gpu: Gpu | undefined;
  #loaded: Loaded | undefined;
  #busy = false;
  /** A session on its way to or from the disk: nobody's wish, so whoever wants something waits for it. Never rejects. */
  #session: Promise<unknown> | undefined;
  #stopRequested = false;

  /** @param reader where weights are read from; default: the store itself */
  constructor(
    private readonly store: RecordStore,
    private readonly reader: RecordReader = { read: (id, record, signal) => readWhenStored(store, id, record, signal) },
    private readonly sessions = new SessionStore(),
  ) {}

  async probe(): Promise<AdapterReport> {
    return reportAdapter(await requestAdapter());
  }

  load(request: LoadRequest, onProgress: (progress: LoadProgress) => void): Promise<LoadedModel> {
    return this.#exclusive('load', async () => {
      const started = performance.now();
      this.#release();
      checkLoadRequest(request);
      const { modelId } = request;
      const manifest = (await this.store.getManifest(modelId)) ?? (await this.store.getPartial(modelId));
      if (!manifest) throw modelNotFound(modelId);
      if (manifest.state === 'damaged') {
        throw new MixtabError(
          'record-damaged',
          `${manifest.name} is ${manifest.state}.`,
          'Remove it and import it again.',
        );
      }
      onProgress({ phase: 'device', bytesDone: 0, bytesTotal: 0 });
      const gpu = await this.#acquireGpu();
      const gpuModel = await this.#watched(gpu, () =>
        loadModel({ device: gpu.device, adapter: gpu.adapter, reader: this.reader, manifest, request, onProgress }),
      );
      // A clock that stands still while experts are waited for: what the GPU does then is hidden behind it.
      const readback = new Readback(gpu.device, () => performance.now() - gpuModel.experts.waiting.ms);
      const generator = new Generator(gpuModel, createTokenizer(manifest.tokenizer), readback);
      this.#loaded = { gpu, gpuModel, generator };
      return {
        summary: summarize(manifest),
        context: gpuModel.context,
        slots: gpuModel.slots,
        memory: { gpuBytes: gpuModel.gpuBytes(), ramBytes: gpuModel.experts.ramBytes },
        adapter: gpu.adapter,
        loadMs: performance.now() - started,
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
      this.#stopRequested = false;
      return this.#watched(gpu, () => generator.generate(prompt, request, onEvent, () => this.#stoppedOf(gpu)));
    });
  }

  #stoppedOf(gpu: Gpu): boolean {
    gpu.health.check(); // an error must not go on as wrong tokens
    return this.#stopRequested;
  }

  score(request: ScoreRequest, onProgress: (tokensDone: number, tokensTotal: number) => void): Promise<ScoreResult> {
    return this.#exclusive('score', async () => {
      const { gpu, gpuModel, generator } = this.#require();
      this.#stopRequested = false;
      const { addBos, bosId } = gpuModel.manifest.tokenizer;
      const prompt = this.#promptOf(request.input);
      // Every window gets its own.
      const tokens = addBos && prompt[0] === bosId ? prompt.slice(1) : prompt;
      return this.#watched(gpu, () => generator.score(tokens, request, onProgress, () => this.#stoppedOf(gpu)));
    });
  }

  readRate(modelId: string, bytes: Bytes): Promise<number> {
    return this.#exclusive('readRate', async () => {
      const manifest = await this.store.getManifest(modelId);
      if (!manifest) throw modelNotFound(modelId);
      const experts = manifest.records.filter(({ key }) => isExpertKey(key));
      const readOver = async (): Promise<Bytes> => {
        let begun = 0;
        let done = 0;
        const lane = async (): Promise<void> => {
          while (begun < bytes) {
            const record = experts[Math.floor(begun / experts[0].bytes) % experts.length];
            begun += record.bytes;
            const read = await this.reader.read(modelId, record);
            done += read.byteLength;
            this.reader.recycle?.(read);
          }
        };
        await Promise.all([lane(), lane()]);
        return done;
      };
      await readOver();
      const started = performance.now();
      return (await readOver()) / ((performance.now() - started) / 1000);
    });
  }

  async experts(): Promise<ExpertsReport | undefined> {
    return this.#loaded?.generator.report();
  }

  async stop(): Promise<void> {
    this.#stopRequested = true;
  }

  async tokenize(text: string): Promise<TokenId[]> {
    return this.#require().generator.tokenizer.encode(text, { addBos: false });
  }

  /**
   * Keeps the KV cache for a later page, in place of what was kept under this name; the oldest others go for it.
   * @param budget bytes that all sessions together may take
   * @returns bytes written; 0 where there is nothing to keep or it is larger than the budget
   * @throws MixtabError `aborted` where `stop` was called meanwhile; as after any failure, what was kept before still is
   */
  saveSession(id: string, budget: Bytes): Promise<Bytes> {
    return this.#waitedFor('saveSession', async () => {
      const { gpu, gpuModel, generator } = this.#require();
      const bytes = generator.sessionBytes;
      if (bytes === 0 || bytes > budget) return 0;
      await this.sessions.makeRoom(budget, bytes, id);
      const generation = ((await this.sessions.header(id))?.generation ?? 0) + 1;
      this.#stopRequested = false;
      const put = (i: number, part: Blob): Promise<void> => {
        if (this.#stopRequested) throw new MixtabError('aborted', 'Stopped.');
        return this.sessions.putPart(id, generation, i, part);
      };
      try {
        const owner = await ownerOf(gpuModel);
        const header = await this.#watched(gpu, () => generator.saveSession(owner, put));
        await this.sessions.putHeader(id, { ...header, generation });
      } catch (error) {
        await this.sessions.removeParts(id, generation).catch(() => {}); // the first error is the one to tell
        throw error;
      }
      return bytes;
    });
  }

  /**
   * Fills the KV cache with a session kept before, so that the next prompt is computed from where it differs.
   * @returns tokens restored; 0 where there is none, or it was dropped because it is damaged or another model's
   */
  restoreSession(id: string): Promise<number> {
    return this.#waitedFor('restoreSession', async () => {
      const { gpu, gpuModel, generator } = this.#require();
      const header = await this.sessions.header(id);
      if (!header) return 0;
      const owner = await ownerOf(gpuModel);
      if (
        await this.#watched(gpu, () =>
          generator.restoreSession(header, owner, (i) => this.sessions.part(id, header.generation, i)),
        )
      )
        return header.tokens.length;
      await this.sessions.remove(id);
      return 0;
    });
  }

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
    // An answer that is to be continued: its words follow the prompt as the model would have written them.
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

  /**
   * Runs GPU work; a lost device or an error WebGPU reported beside the work is what is thrown. Model and device are given up
   * then: an upload that failed leaves a slot with other weights than the engine believes, and more reports may follow.
   */
  async #watched<T>(gpu: Gpu, work: () => Promise<T>): Promise<T> {
    try {
      const result = await work();
      gpu.health.check();
      return result;
    } catch (error) {
      // Promises of a lost device are rejected before `device.lost` is settled: let it settle first.
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

  #waitedFor<T>(what: string, work: () => Promise<T>): Promise<T> {
    const result = (this.#session ?? Promise.resolve()).then(() => this.#alone(what, work));
    const done = result
      .catch(() => {})
      .then(() => {
        if (this.#session === done) this.#session = undefined;
      });
    this.#session = done;
    return result;
  }

  async #exclusive<T>(what: string, work: () => Promise<T>): Promise<T> {
    while (this.#session) await this.#session;
    return this.#alone(what, work);
  }

  async #alone<T>(what: string, work: () => Promise<T>): Promise<T> {
    if (this.#busy) {
      throw new MixtabError('busy', `The engine is busy: ${what} has to wait.`, 'Wait until it is done, or stop it.');
    }
    this.#busy = true;
    try {
      return await work();
    } finally {
      this.#busy = false;
    }
  }
}

function checkLoadRequest({ context, gpuBudgetBytes, ramBudgetBytes }: LoadRequest): void {
  if (context !== undefined && !(Number.isInteger(context) && context >= 2)) {
    throw new MixtabError(
      'bad-request',
      `A context of ${context} positions makes no sense.`,
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

async function ownerOf({ manifest }: GpuModel): Promise<SessionOwner> {
  const hashes = manifest.records.map(({ key, sha256 }) => `${key} ${sha256}\n`).join('');
  return { modelId: manifest.id, weights: await sha256Hex(new TextEncoder().encode(hashes)) };
}
