/** The backend that computes with WebAssembly on the CPU. Loading is in load-cpu-model.ts. */
import type { Bytes, TokenId } from '../../../src/contract/ids.ts';
import type {
  Compute,
  KvCacheBytes,
  ObserveTokenRequest,
  PrefillRequest,
  RouterStateOptions,
  Sample,
  SamplerStart,
  Scorer,
  TokenDecoder,
} from '../compute.ts';
import { checkFinite } from '../finite.ts';
import type { CpuModel } from './cpu-model.ts';
import { CpuScorer } from './cpu-scorer.ts';
import { decodeToken } from './decode.ts';
import { prefill } from './prefill.ts';
import { routerOptionsOf } from './router.ts';
import type { CpuSampler } from './sampler.ts';
import type { ThreadPool } from './thread-pool.ts';

export interface CpuComputeOptions {
  model: CpuModel;
  pool: ThreadPool;
  sampler: CpuSampler;
  kvCache: KvCacheBytes;
  context: number;
  slots: number;
  /** Bytes of all memories that belong to the model. */
  ramBytes: Bytes;
  destroy: () => void;
}

export class CpuCompute implements Compute {
  readonly kind = 'cpu';
  readonly #options: CpuComputeOptions;
  /** The residual of the last token of the prompt. */
  #lastResidual = new Float32Array(0);
  #lastToken: TokenId | undefined;

  constructor(options: CpuComputeOptions) {
    this.#options = options;
  }

  get config() {
    return this.#options.model.config;
  }

  get context() {
    return this.#options.context;
  }

  get slots() {
    return this.#options.slots;
  }

  get experts() {
    return this.#options.model.experts;
  }

  get kvCache() {
    return this.#options.kvCache;
  }

  get failure() {
    return this.#options.pool.failure;
  }

  get threads(): number {
    return this.#options.pool.size;
  }

  get computeMs() {
    return this.#options.pool.computeMs;
  }

  memory(): { gpuBytes: Bytes; ramBytes: Bytes } {
    return { gpuBytes: 0, ramBytes: this.#options.ramBytes };
  }

  setRouterOptions(options: RouterStateOptions): void {
    this.#options.model.routerOptions = routerOptionsOf(options);
  }

  startSampling(start: SamplerStart): void {
    this.#options.sampler.start(start);
  }

  setAllowed(allowed: Uint32Array): void {
    this.#options.sampler.setAllowed(allowed);
  }

  async prefill(request: PrefillRequest): Promise<void> {
    const residual = await prefill({ ...request, model: this.#options.model });
    // Of all tokens: attention hides where a number of an earlier one went wrong.
    checkFinite(residual);
    this.#lastResidual = residual.slice(-this.config.embeddingLength);
  }

  sampleFirst(): Promise<Sample> {
    return this.#sample(this.#lastResidual);
  }

  startDecoding(positions: number, signal: AbortSignal): TokenDecoder {
    let position = positions;
    return {
      nextToken: async () => {
        const residual = await decodeToken({ model: this.#options.model, signal }, this.#lastToken!, position);
        position++;
        return this.#sample(residual);
      },
      drain: async () => {},
    };
  }

  createScorer(): Scorer {
    return new CpuScorer(this.#options.model);
  }

  async observe({ token, position, onLayer, signal }: ObserveTokenRequest): Promise<void> {
    const { model } = this.#options;
    await decodeToken(
      {
        model,
        signal,
        onLayer: async (layer) => onLayer({ ...layer, logits: await model.forward.logits(layer.residual, false) }),
      },
      token,
      position,
    );
  }

  destroy(): void {
    this.#options.destroy();
  }

  async #sample(residual: Float32Array): Promise<Sample> {
    const { sampler, model } = this.#options;
    // Both are checked, because the output matrix multiplies whole numbers, and rounding turns NaN into one.
    checkFinite(residual);
    await model.forward.logitsInto(residual, () => sampler.logits);
    checkFinite(sampler.logits);
    const sample = sampler.sample();
    this.#lastToken = sample.id;
    return sample;
  }
}
