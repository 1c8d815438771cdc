/**
 * Samples the next token, with the options in the order of llama.cpp's default chain: bias, penalties, top-k, top-p,
 * min-p, temperature. The same seed draws the same random numbers as on the GPU (shaders/sample.wgsl).
 */
import type { SamplingOptions } from '../../../src/contract/engine-api.ts';
import { tokenId } from '../../../src/contract/ids.ts';
import { MAX_TOP, type Sample, type SamplerStart } from '../compute.ts';
import type { Address, KernelModule } from './kernels-module.ts';
import { threefry2x32 } from './threefry.ts';

/** Words of `SamplerState` in kernels/structs.ts. */
const STATE = {
  vocabulary: 0,
  logits: 1,
  bias: 2,
  counts: 3,
  allowed: 4,
  keys: 5,
  weights: 6,
  list: 7,
  biased: 8,
  penalized: 9,
  masked: 10,
  repetition: 11,
  presence: 12,
  frequency: 13,
  rawMax: 14,
} as const;
const STATE_WORDS = 16;

export class CpuSampler {
  readonly #state: Address;
  #options: SamplingOptions = {};
  #seed = 0;
  #topCount = 0;
  /** Tokens sampled so far in this answer. */
  #step = 0;

  constructor(
    private readonly module: KernelModule,
    private readonly vocabularySize: number,
  ) {
    const words = new Uint32Array(STATE_WORDS);
    words[STATE.vocabulary] = vocabularySize;
    const arrays = ['logits', 'bias', 'counts', 'allowed', 'keys', 'weights', 'list'] as const;
    for (const name of arrays) words[STATE[name]] = module.allocate(Math.ceil(vocabularySize / 4) * 16);
    this.#state = module.copy(words);
  }

  start({ options, seed, step, topCount, counts, bias, allowed }: SamplerStart): void {
    const { repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0 } = options;
    const words = this.#words();
    const floats = this.module.floats(this.#state, STATE_WORDS);
    this.module.words(words[STATE.counts], counts.length).set(counts);
    this.module.floats(words[STATE.bias], bias.length).set(bias);
    words[STATE.biased] = bias.some((value) => value !== 0) ? 1 : 0;
    words[STATE.penalized] = repetitionPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0 ? 1 : 0;
    words[STATE.masked] = 0;
    floats.set([repetitionPenalty, presencePenalty, frequencyPenalty], STATE.repetition);
    this.#options = options;
    this.#seed = seed;
    this.#topCount = Math.min(topCount, MAX_TOP, this.vocabularySize);
    this.#step = step;
    if (allowed) this.setAllowed(allowed);
  }

  /** @param allowed one bit per token that may be sampled next, lowest bit first */
  setAllowed(allowed: Uint32Array): void {
    const words = this.#words();
    words[STATE.masked] = 1;
    this.module.words(words[STATE.allowed], allowed.length).set(allowed);
  }

  /** f32[vocabularySize], to be filled before {@link sample}. Invalid after the module allocates memory. */
  get logits(): Float32Array {
    return this.module.floats(this.#words()[STATE.logits], this.vocabularySize);
  }

  /** Samples a token by {@link logits}. */
  sample(): Sample {
    const { kernels } = this.module;
    const own = this.logits;
    const best = kernels.sampleAdjust(this.#state);
    const logSum = this.module.floats(this.#state, STATE_WORDS)[STATE.rawMax] + Math.log(this.#rawSum());
    const withLogprob = (id: number) => ({ id: tokenId(id), logprob: own[id] - logSum });
    const top = Array.from(this.#top(), withLogprob);
    const { temperature = 1 } = this.#options;
    const id = temperature > 0 ? this.#draw(temperature) : best;
    this.module.words(this.#words()[STATE.counts], this.vocabularySize)[id]++;
    this.#step++;
    return { ...withLogprob(id), top };
  }

  #rawSum(): number {
    return this.module.kernels.sampleRawSum(this.#state);
  }

  /** The likeliest tokens by raw logits. */
  #top(): Uint32Array {
    if (this.#topCount > 0) this.module.kernels.sampleTop(this.#state, this.#topCount);
    return this.module.words(this.#words()[STATE.list], this.#topCount);
  }

  #draw(temperature: number): number {
    const { kernels } = this.module;
    const { topK = 0, topP = 1, minP = 0 } = this.#options;
    if (topK > 0 && topK < this.vocabularySize) kernels.sampleCut(this.#state, false, topK);
    if (topP < 1) {
      kernels.sampleWeigh(this.#state, 1);
      kernels.sampleCut(this.#state, true, Math.max(topP, 0));
    }
    if (minP > 0) kernels.sampleCutBelow(this.#state, Math.log(Math.min(minP, 1)));
    kernels.sampleWeigh(this.#state, temperature);
    const [bits] = threefry2x32([this.#seed % 2 ** 32, Math.floor(this.#seed / 2 ** 32)], [this.#step, 0]);
    // The middle of one of 2^24 equal intervals, so neither 0 nor 1.
    return kernels.sampleDraw(this.#state, ((bits >>> 8) + 0.5) / 2 ** 24);
  }

  #words(): Uint32Array {
    return this.module.words(this.#state, STATE_WORDS);
  }
}
