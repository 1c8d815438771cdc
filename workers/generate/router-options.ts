/** How experts are chosen where not as the model would: lossy options (decode only) and ablations, as the router reads them. */
import type { AblationOptions, GenerateRequest, LossyOptions } from '../../src/contract/engine-api.ts';
import { MixtabError } from '../../src/contract/errors.ts';
import type { ModelConfig } from '../../src/contract/import-api.ts';
import { BANNED_BITS, STATE, STATE_BYTES } from '../compute/gpu/step-state.ts';
import type { Model } from '../model/forward.ts';

export type RouterOptions = Pick<GenerateRequest, 'lossy' | 'ablation'>;

const FIRST = STATE.residentBias;

/** Writes the options to the GPU; none is exact. @throws MixtabError `bad-request` */
export function setRouterOptions({ config, ctx, buffers }: Model, { lossy = {}, ablation = {} }: RouterOptions): void {
  const words = new Uint32Array(STATE_BYTES / 4);
  writeLossy(words, lossy);
  writeAblation(words, ablation, config);
  ctx.pipelines.device.queue.writeBuffer(buffers.state.buffer, buffers.state.offset + FIRST * 4, words, FIRST);
}

/** The same for options that choose the same: keys and values computed with one are of no use to another. */
export function routerOptionsKey({ lossy = {}, ablation = {} }: RouterOptions): string {
  const { residentBias = 0, skipBelow = 0 } = lossy;
  const { expertsUsed, randomSeed, banned = [] } = ablation;
  const bans = banned.map(({ layer, expert }) => `${layer}.${expert}`).sort();
  const exact =
    residentBias === 0 && skipBelow === 0 && expertsUsed === undefined && randomSeed === undefined && bans.length === 0;
  return exact ? '' : JSON.stringify([residentBias, skipBelow, expertsUsed, randomSeed, bans]);
}

function writeLossy(words: Uint32Array, { residentBias = 0, skipBelow = 0 }: LossyOptions): void {
  if (!(residentBias >= 0 && skipBelow >= 0 && skipBelow <= 1)) {
    throw bad(
      `A resident bias of ${residentBias} and skipping below ${skipBelow} make no sense.`,
      'Use a bias of 0 or more and a weight of 0 to 1.',
    );
  }
  new Float32Array(words.buffer).set([residentBias, skipBelow], STATE.residentBias);
}

function writeAblation(
  words: Uint32Array,
  { expertsUsed, randomSeed, banned = [] }: AblationOptions,
  { layerCount, expertCount, expertsPerToken }: ModelConfig,
): void {
  if (
    expertsUsed !== undefined &&
    !(Number.isInteger(expertsUsed) && expertsUsed >= 1 && expertsUsed <= expertsPerToken)
  ) {
    throw bad(`${expertsUsed} experts a token make no sense here.`, `Use 1 to ${expertsPerToken}.`);
  }
  words[STATE.expertsUsed] = expertsUsed ?? 0;
  words[STATE.random] = randomSeed === undefined ? 0 : 1;
  words[STATE.randomSeed] = randomSeed ?? 0;
  const left = new Array<number>(layerCount).fill(expertCount);
  for (const { layer, expert } of banned) {
    if (
      !(
        Number.isInteger(layer) &&
        layer >= 0 &&
        layer < layerCount &&
        Number.isInteger(expert) &&
        expert >= 0 &&
        expert < expertCount
      )
    ) {
      throw bad(
        `There is no expert ${expert} in a layer ${layer}.`,
        `Layers are 0 to ${layerCount - 1}, experts 0 to ${expertCount - 1}.`,
      );
    }
    const bit = layer * expertCount + expert;
    if (bit >= BANNED_BITS)
      throw bad(
        `Expert ${expert} of layer ${layer} cannot be banned.`,
        `Only the first ${BANNED_BITS} experts of a model can be.`,
      );
    const word = STATE.banned + (bit >>> 5);
    const mask = (1 << (bit & 31)) >>> 0;
    if ((words[word] & mask) === 0) left[layer]--;
    words[word] |= mask;
  }
  const short = left.findIndex((count) => count < expertsPerToken);
  if (short >= 0) {
    throw bad(
      `Layer ${short} has ${left[short]} experts left, and a token needs ${expertsPerToken}.`,
      'Ban fewer of its experts.',
    );
  }
}

const bad = (message: string, remedy: string): MixtabError => new MixtabError('bad-request', message, remedy);
