/**
 * How experts are chosen where not as the model would: lossy options (decode only) and ablations, as the router reads
 * them.
 */
import type { AblationOptions, GenerateRequest, LossyOptions } from '../../src/contract/engine-api.ts';
import { MixtabError } from '../../src/contract/errors.ts';
import { type ExpertId, expertId, expertIndex, layerIndex } from '../../src/contract/ids.ts';
import type { ModelConfig } from '../../src/contract/import-api.ts';
import { MAX_BANNABLE_EXPERTS, type RouterStateOptions } from '../compute/gpu/step-state.ts';
import type { Model } from '../model/model.ts';

export type RouterOptions = Pick<GenerateRequest, 'lossy' | 'ablation'>;

/** Writes the options to the GPU; none is exact. @throws MixtabError `bad-request` */
export function setRouterOptions({ config, buffers }: Model, { lossy = {}, ablation = {} }: RouterOptions): void {
  checkLossy(lossy);
  buffers.state.setRouterOptions({ ...lossy, ...ablationState(ablation, config) });
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

function checkLossy({ residentBias = 0, skipBelow = 0 }: LossyOptions): void {
  if (!(residentBias >= 0 && skipBelow >= 0 && skipBelow <= 1)) {
    throw bad(
      `A resident bias of ${residentBias} and skipping below ${skipBelow} make no sense.`,
      'Use a bias of 0 or more and a weight of 0 to 1.',
    );
  }
}

/** The options of the router's state for an ablation. @throws MixtabError `bad-request` */
function ablationState(
  { expertsUsed, randomSeed, banned = [] }: AblationOptions,
  { layerCount, expertCount, expertsPerToken }: ModelConfig,
): RouterStateOptions {
  if (
    expertsUsed !== undefined &&
    !(Number.isInteger(expertsUsed) && expertsUsed >= 1 && expertsUsed <= expertsPerToken)
  ) {
    throw bad(`${expertsUsed} experts a token make no sense here.`, `Use 1 to ${expertsPerToken}.`);
  }
  const bans = new Set<ExpertId>();
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
    const id = expertId(layerIndex(layer), expertIndex(expert), expertCount);
    if (id >= MAX_BANNABLE_EXPERTS)
      throw bad(
        `Expert ${expert} of layer ${layer} cannot be banned.`,
        `Only the first ${MAX_BANNABLE_EXPERTS} experts of a model can be.`,
      );
    if (!bans.has(id)) left[layer]--;
    bans.add(id);
  }
  const short = left.findIndex((count) => count < expertsPerToken);
  if (short >= 0) {
    throw bad(
      `Layer ${short} has ${left[short]} experts left, and a token needs ${expertsPerToken}.`,
      'Ban fewer of its experts.',
    );
  }
  return { expertsUsed, randomSeed, banned: bans };
}

const bad = (message: string, remedy: string): MixtabError => new MixtabError('bad-request', message, remedy);
