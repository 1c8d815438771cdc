/** What only the engine worker computes, because dividing it would cost more than it saves: norms and routers. */
import type { ModelConfig } from '../../../src/contract/import-api.ts';
import type { TensorLayout } from '../../format/weight-layout.ts';
import { type Address, type CpuMatrix, type CpuVectors, KernelModule } from './kernels-module.ts';

/** The weights of one layer that the engine worker uses. */
interface HostLayer {
  /** f32[embeddingLength] */
  attnNorm: Address;
  ffnNorm: Address;
  /** [expertCount, embeddingLength] */
  router: CpuMatrix;
}

export class HostKernels {
  readonly module: KernelModule;
  readonly #layers: HostLayer[] = [];
  /** f32[embeddingLength] */
  #outputNorm: Address = 0;
  /** [chunkTokens, embeddingLength]: the vectors to normalize. */
  readonly #input: Address;
  readonly #normed: CpuVectors;
  /** f32[chunkTokens, expertCount] */
  readonly #routerLogits: Address;

  constructor(
    wasm: WebAssembly.Module,
    private readonly config: ModelConfig,
    chunkTokens: number,
  ) {
    const { embeddingLength, expertCount } = config;
    this.module = KernelModule.instantiate(wasm);
    this.#input = this.module.allocate(chunkTokens * embeddingLength * 4);
    this.#normed = this.module.vectors(chunkTokens, embeddingLength);
    this.#routerLogits = this.module.allocate(chunkTokens * expertCount * 4);
  }

  /** Adds the norms and the router of the next layer. @param record with these tensors */
  addLayer(tensors: readonly TensorLayout[], record: Uint8Array): void {
    this.#layers.push({
      attnNorm: this.#tensor(tensors, record, 'attn_norm').address,
      ffnNorm: this.#tensor(tensors, record, 'ffn_norm').address,
      router: this.#tensor(tensors, record, 'ffn_gate_inp'),
    });
  }

  addOutputNorm(tensors: readonly TensorLayout[], record: Uint8Array): void {
    this.#outputNorm = this.#tensor(tensors, record, 'output_norm').address;
  }

  /** @param residual f32[tokens, embeddingLength] @returns the same shape, valid until the next norm */
  attentionNorm(layer: number, residual: Float32Array): Float32Array {
    return this.#norm(this.#layers[layer].attnNorm, residual);
  }

  /** As {@link attentionNorm}. */
  outputNorm(residual: Float32Array): Float32Array {
    return this.#norm(this.#outputNorm, residual);
  }

  /**
   * The input of a layer's experts and the scores of its router.
   * @param residual f32[tokens, embeddingLength]
   * @returns `normed` in the same shape, and `logits` f32[tokens, expertCount], valid until the next norm and router
   */
  route(layer: number, residual: Float32Array, tiled: boolean): { normed: Float32Array; logits: Float32Array } {
    const { ffnNorm, router } = this.#layers[layer];
    const normed = this.#norm(ffnNorm, residual);
    const { embeddingLength, expertCount } = this.config;
    const tokens = residual.length / embeddingLength;
    if (this.#normed.inputs) this.module.quantize(this.#normed, tokens);
    this.module.matmul(router, this.#normed, tokens, this.#routerLogits, expertCount, tiled);
    return { normed, logits: this.module.floats(this.#routerLogits, tokens * expertCount) };
  }

  #norm(weight: Address, residual: Float32Array): Float32Array {
    const { embeddingLength, rmsNormEpsilon } = this.config;
    const { module } = this;
    const tokens = residual.length / embeddingLength;
    module.floats(this.#input, residual.length).set(residual);
    module.kernels.rmsNorm(this.#input, weight, embeddingLength, tokens, rmsNormEpsilon, this.#normed.values);
    return module.floats(this.#normed.values, residual.length);
  }

  /** Copies a tensor of a record. Norms are plain F32, so their address is that of their values. */
  #tensor(tensors: readonly TensorLayout[], record: Uint8Array, name: string): CpuMatrix {
    const layout = tensors.find((tensor) => tensor.name === name)!;
    const address = this.module.copy(record.subarray(layout.offset, layout.offset + layout.bytes));
    return this.module.matrix(layout, address);
  }
}
