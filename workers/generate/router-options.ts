/** How a request changes the selection of experts: lossy options (decode only) and ablations. */
import type { AblationOptions, GenerateRequest, LossyOptions } from '../../src/contract/engine-api.ts';
import { MixtabError } from '../../src/contract/errors.ts';
import { type ExpertId, expertId, expertIndex, layerIndex } from '../../src/contract/ids.ts';
import type { ModelConfig } from '../../src/contract/import-api.ts';
import { type Compute, MAX_BANNABLE_EXPERTS, type RouterStateOptions } from '../compute/compute.ts';

export type RouterOptions = Pick<GenerateRequest, 'lossy' | 'ablation'>;

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
  const { expertsUsed, randomSeed, banned = [] } = ablation;
  const bans = banned.map(({ layer, expert }) => `${layer}.${expert}`).sort();
  const exact =
    residentBias === 0 && skipBelow === 0 && expertsUsed === undefined && randomSeed === undefined && bans.length === 0;
  return exact ? '' : JSON.stringify([residentBias, skipBelow, expertsUsed, randomSeed, bans]);
}

function checkLossy({ residentBias = 0, skipBelow = 0 }: LossyOptions): void {
  if (residentBias >= 0 && skipBelow >= 0 && skipBelow <= 1) return;
  throw badRequest(
    `A resident bias of ${residentBias} with skipping below ${skipBelow} is not possible.`,
    'Use a bias of 0 or more and a weight of 0 to 1.',
  );
}

/** @throws MixtabError `bad-request` */
function ablationState(
  { expertsUsed, randomSeed, banned = [] }: AblationOptions,
  config: ModelConfig,
): RouterStateOptions {
  const { expertsPerToken } = config;
  if (expertsUsed !== undefined && !isIndex(expertsUsed - 1, expertsPerToken)) {
    throw badRequest(`Using ${expertsUsed} experts per token is not possible.`, `Use 1 to ${expertsPerToken}.`);
  }
  const bans = new Set(banned.map(({ layer, expert }) => bannedId(layer, expert, config)));
  checkEnoughLeft(bans, config);
  return { expertsUsed, randomSeed, banned: bans };
}

/** @throws MixtabError `bad-request` if the expert does not exist or cannot be banned */
function bannedId(layer: number, expert: number, { layerCount, expertCount }: ModelConfig): ExpertId {
  if (!isIndex(layer, layerCount) || !isIndex(expert, expertCount)) {
    throw badRequest(
      `There is no expert ${expert} in layer ${layer}.`,
      `Layers are 0 to ${layerCount - 1}, experts 0 to ${expertCount - 1}.`,
    );
  }
  const id = expertId(layerIndex(layer), expertIndex(expert), expertCount);
  if (id < MAX_BANNABLE_EXPERTS) return id;
  throw badRequest(
    `Expert ${expert} of layer ${layer} cannot be banned.`,
    `Ban only experts that are among the first ${MAX_BANNABLE_EXPERTS} of the model.`,
  );
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

const isIndex = (n: number, length: number): boolean => Number.isInteger(n) && n >= 0 && n < length;

const badRequest = (message: string, remedy: string): MixtabError => new MixtabError('bad-request', message, remedy);
