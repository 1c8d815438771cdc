/** How a request changes the selection of experts: lossy options (decode only) and ablations. */
import type { AblationOptions, GenerateRequest, LossyOptions } from '../../src/contract/engine-api.ts';
import { MixtabError } from '../../src/contract/errors.ts';
import { type ExpertId, type ExpertIndex, expertId, expertIndex, layerIndex } from '../../src/contract/ids.ts';
import type { ModelConfig } from '../../src/contract/import-api.ts';
import { type Compute, MAX_CHANGEABLE_EXPERTS, MAX_STAND_INS, type RouterStateOptions } from '../compute/compute.ts';

export type RouterOptions = Pick<GenerateRequest, 'lossy' | 'ablation'>;

/** More noise than this is no different from random experts, whose scores it drowns. */
const MAX_NOISE = 1000;

/**
 * Checks the options and sets those of the router. Without any, the selection is exactly the model's.
 * @throws MixtabError `bad-request`
 */
export function setRouterOptions(compute: Compute, { lossy = {}, ablation = {} }: RouterOptions): void {
  checkLossy(lossy);
  compute.setRouterOptions({ ...lossy, ...ablationState(ablation, compute.config) });
}

/**
 * Equal for options that select the same experts, and empty if they select exactly the model's. Keys and values
 * computed with one selection cannot be reused with another.
 */
export function routerOptionsKey({ lossy = {}, ablation = {} }: RouterOptions): string {
  const { residentBias = 0, skipBelow = 0 } = lossy;
  const { expertsUsed, choicesSkipped = 0, randomSeed, noise, banned = [], replaced = [] } = ablation;
  const noisy = noise && noise.amount !== 0 ? [noise.amount, noise.seed] : undefined;
  const bans = banned.map(({ layer, expert }) => `${layer ?? '*'}.${expert}`).sort();
  const standIns = replaced.map(({ layer, expert, by }) => `${layer ?? '*'}.${expert ?? '*'}.${by}`).sort();
  const exact =
    residentBias === 0 &&
    skipBelow === 0 &&
    choicesSkipped === 0 &&
    expertsUsed === undefined &&
    randomSeed === undefined &&
    !noisy &&
    bans.length + standIns.length === 0;
  if (exact) return '';
  return JSON.stringify([residentBias, skipBelow, expertsUsed, randomSeed, bans, choicesSkipped, noisy, standIns]);
}

function checkLossy({ residentBias = 0, skipBelow = 0 }: LossyOptions): void {
  if (residentBias >= 0 && skipBelow >= 0 && skipBelow <= 1) return;
  throw badRequest(
    `A resident bias of ${residentBias} with skipping below ${skipBelow} is not possible.`,
    'Use a bias of 0 or more and a weight of 0 to 1.',
  );
}

/** @throws MixtabError `bad-request` */
function ablationState(options: AblationOptions, config: ModelConfig): RouterStateOptions {
  const { randomSeed, noise, banned = [], replaced = [] } = options;
  checkSeed(randomSeed);
  checkSeed(noise?.seed);
  if (noise && !(noise.amount >= 0 && noise.amount <= MAX_NOISE)) {
    throw badRequest(`Noise of ${noise.amount} is not possible.`, `Use 0 to ${MAX_NOISE}.`);
  }
  const bans = new Set(banned.flatMap((ban) => changedIds(ban, config)));
  checkEnoughLeft(bans, config);
  return {
    ...usedChoices(options, config),
    randomSeed,
    noise,
    banned: bans,
    ...(replaced.length > 0 && { replaced: standIns(replaced, config) }),
  };
}

/** @throws MixtabError `bad-request` if no expert is left to use */
function usedChoices(
  { expertsUsed, choicesSkipped = 0 }: AblationOptions,
  { expertsPerToken }: ModelConfig,
): Pick<RouterStateOptions, 'expertsUsed' | 'choicesSkipped'> {
  if (expertsUsed !== undefined && !isIndex(expertsUsed - 1, expertsPerToken)) {
    throw badRequest(`Using ${expertsUsed} experts per token is not possible.`, `Use 1 to ${expertsPerToken}.`);
  }
  const used = expertsUsed ?? expertsPerToken;
  if (!isIndex(choicesSkipped, used)) {
    throw badRequest(`Skipping ${choicesSkipped} of ${used} experts is not possible.`, `Skip 0 to ${used - 1}.`);
  }
  return { expertsUsed: choicesSkipped > 0 ? used - choicesSkipped : expertsUsed, choicesSkipped };
}

/** @throws MixtabError `bad-request` if an expert does not exist, cannot be replaced, or is replaced twice */
function standIns(
  replaced: NonNullable<AblationOptions['replaced']>,
  config: ModelConfig,
): ReadonlyMap<ExpertId, ExpertIndex> {
  const { expertCount } = config;
  const map = new Map<ExpertId, ExpertIndex>();
  for (const { by, ...some } of replaced) {
    if (!isIndex(by, Math.min(expertCount, MAX_STAND_INS))) {
      const last = Math.min(expertCount, MAX_STAND_INS) - 1;
      throw badRequest(`Expert ${by} cannot replace another one.`, `Use one of the experts 0 to ${last}.`);
    }
    for (const id of changedIds(some, config)) {
      if (map.has(id)) {
        const expert = id % expertCount;
        throw badRequest(`Expert ${expert} is replaced twice in the same layer.`, 'Name one expert in its place.');
      }
      map.set(id, expertIndex(by));
    }
  }
  return map;
}

/**
 * The experts that an entry is about: one or all, in one layer or in all.
 * @throws MixtabError `bad-request` if one does not exist, or is beyond those that can be changed
 */
function changedIds({ layer, expert }: { layer?: number; expert?: number }, config: ModelConfig): ExpertId[] {
  const { layerCount, expertCount } = config;
  if (expert === undefined) {
    return Array.from({ length: expertCount }, (_, e) =>
      changedIds({ ...(layer !== undefined && { layer }), expert: e }, config),
    ).flat();
  }
  if (!isIndex(expert, expertCount) || (layer !== undefined && !isIndex(layer, layerCount))) {
    throw badRequest(
      `There is no expert ${expert}${layer === undefined ? '' : ` in layer ${layer}`}.`,
      `Layers are 0 to ${layerCount - 1}, experts 0 to ${expertCount - 1}.`,
    );
  }
  const layers = layer === undefined ? Array.from({ length: layerCount }, (_, l) => l) : [layer];
  return layers.map((l) => {
    const id = expertId(layerIndex(l), expertIndex(expert), expertCount);
    if (id < MAX_CHANGEABLE_EXPERTS) return id;
    throw badRequest(
      `Expert ${expert} of layer ${l} cannot be banned or replaced.`,
      `Choose only experts that are among the first ${MAX_CHANGEABLE_EXPERTS} of the model.`,
    );
  });
}

/** @throws MixtabError `bad-request` if a layer keeps fewer experts than a token uses */
function checkEnoughLeft(bans: ReadonlySet<ExpertId>, { layerCount, expertCount, expertsPerToken }: ModelConfig): void {
  const left = new Array<number>(layerCount).fill(expertCount);
  for (const id of bans) left[Math.floor(id / expertCount)]--;
  const layer = left.findIndex((count) => count < expertsPerToken);
  if (layer < 0) return;
  throw badRequest(
    `Layer ${layer} has ${left[layer]} experts left, but a token needs ${expertsPerToken}.`,
    'Ban fewer of its experts.',
  );
}

/** @throws MixtabError `bad-request` */
function checkSeed(seed: number | undefined): void {
  if (seed === undefined || isIndex(seed, 2 ** 32)) return;
  throw badRequest(`${seed} is no seed of the router.`, `Use a whole number from 0 to ${2 ** 32 - 1}.`);
}

const isIndex = (n: number, length: number): boolean => Number.isInteger(n) && n >= 0 && n < length;

const badRequest = (message: string, remedy: string): MixtabError => new MixtabError('bad-request', message, remedy);
