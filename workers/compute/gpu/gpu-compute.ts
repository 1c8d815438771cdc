/** A loaded model that is computed with WebGPU. */
import type { MixtabError } from '../../../src/contract/errors.ts';
import type { Bytes } from '../../../src/contract/ids.ts';
import type { ModelConfig } from '../../../src/contract/import-api.ts';
import type { ExpertCache } from '../../experts/expert-cache.ts';
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
import { Decoder } from './decode/decoder.ts';
import { freeDestroyed } from './free-destroyed.ts';
import { rememberLoss } from './gpu-budget.ts';
import { GpuKvCacheBytes } from './gpu-kv-cache-bytes.ts';
import type { GpuModel } from './gpu-model.ts';
import { GpuScorer } from './gpu-scorer.ts';
import { outputHead } from './model/forward.ts';
import { observe } from './observe.ts';
import type { Gpu } from './open-gpu.ts';
import { checkSampleResult, readSampleResult, writeAllowed, writeSampleParams } from './ops/sample.ts';
import { encodePaced } from './pacing.ts';
import { prefill } from './prefill.ts';
import { Readback } from './readback.ts';

/** A failure this long after the last result of the GPU has nothing to do with what it computed. */
const IDLE_MS = 1000;

/** Implements {@link Compute} with WebGPU. Owns the model on the GPU; the device is kept for the next model. */
export class GpuCompute implements Compute {
  readonly kind = 'gpu';
  readonly kvCache: KvCacheBytes;
  readonly #gpu: Gpu;
  readonly #gpuModel: GpuModel;
  readonly #readback: Readback;

  constructor(gpu: Gpu, gpuModel: GpuModel) {
    this.#gpu = gpu;
    this.#gpuModel = gpuModel;
    this.kvCache = new GpuKvCacheBytes(gpuModel.model.kvCache);
    // This clock stops while the engine waits for experts, so the readback counts only waits for the GPU alone.
    this.#readback = new Readback(gpu.device, () => performance.now() - gpuModel.experts.waiting.ms);
    gpu.health.signal.addEventListener('abort', this.#onFailure);
  }

  /** If the GPU fails while it computes, the next load uses less of it. While it is idle, the cause is another one. */
  readonly #onFailure = (): void => {
    const { model, automaticBudget: budget } = this.#gpuModel;
    const code = (this.#gpu.health.signal.reason as MixtabError).code;
    if (this.#readback.waiting.idleMs > IDLE_MS || code === 'internal') return;
    void rememberLoss(this.#gpu, { batch: model.buffers.maxTokens, ...(budget !== undefined && { budget }) });
  };

  get config(): ModelConfig {
    return this.#gpuModel.model.config;
  }

  get context(): number {
    return this.#gpuModel.context;
  }

  get slots(): number {
    return this.#gpuModel.slots;
  }

  get experts(): ExpertCache {
    return this.#gpuModel.experts;
  }

  get failure(): AbortSignal {
    return this.#gpu.health.failure;
  }

  get computeMs(): number {
    return this.#readback.waiting.ms;
  }

  memory(): { gpuBytes: Bytes; ramBytes: Bytes } {
    return { gpuBytes: this.#gpuModel.gpuBytes(), ramBytes: this.experts.ramBytes };
  }

  setRouterOptions(options: RouterStateOptions): void {
    this.#gpuModel.model.buffers.state.setRouterOptions(options);
  }

  startSampling({ options, seed, step, topCount, counts, bias, allowed }: SamplerStart): void {
    const { sampleParams, sampleCounts, sampleBias, state } = this.#gpuModel.model.buffers;
    const { queue } = this.#gpu.device;
    queue.writeBuffer(sampleParams.buffer, 0, writeSampleParams(options, seed, topCount, allowed));
    queue.writeBuffer(sampleCounts.buffer, 0, counts);
    queue.writeBuffer(sampleBias.buffer, 0, bias);
    state.startSampling(step);
  }

  setAllowed(allowed: Uint32Array<ArrayBuffer>): void {
    writeAllowed(this.#gpu.device.queue, this.#gpuModel.model.buffers.sampleParams, allowed);
  }

  prefill(request: PrefillRequest): Promise<void> {
    const { model, experts, onRouterLogits } = this.#gpuModel;
    return prefill({ ...request, model, experts, readback: this.#readback, onRouterLogits });
  }

  async sampleFirst(): Promise<Sample> {
    const { model } = this.#gpuModel;
    const { headResidual, sampleResult } = model.buffers;
    const encoder = encodePaced(model.ctx, outputHead(model, headResidual), 'first token');
    const [result] = await this.#readback.submit(encoder, [sampleResult]);
    return sampleOf(result);
  }

  startDecoding(positions: number, signal: AbortSignal): TokenDecoder {
    const { model, experts, onRouterLogits } = this.#gpuModel;
    const decoder = new Decoder({ model, experts, readback: this.#readback, signal, onRouterLogits }, positions);
    return {
      nextToken: async (maxFurtherTokens) => sampleOf(await decoder.nextToken(maxFurtherTokens)),
      drain: () => decoder.drain(),
    };
  }

  createScorer(): Scorer {
    return new GpuScorer(this.#gpuModel, this.#readback);
  }

  observe(request: ObserveTokenRequest): Promise<void> {
    const { model, experts } = this.#gpuModel;
    return observe({ model, experts, readback: this.#readback }, request);
  }

  /** Frees the model's memory. A device that has failed is destroyed with it, because none of it can be trusted. */
  destroy(): void {
    this.#gpu.health.signal.removeEventListener('abort', this.#onFailure);
    this.#readback.destroy();
    this.#gpuModel.destroy();
    if (this.#gpu.health.failed) this.#gpu.device.destroy();
    else void freeDestroyed(this.#gpu.device);
  }
}

/** @throws MixtabError `not-finite` */
function sampleOf(result: ArrayBuffer): Sample {
  checkSampleResult(result);
  return readSampleResult(result);
}
