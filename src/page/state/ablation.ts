/** Banned experts and the description of an ablation, for the laboratory of the experts view. Pure. */
import type { AblationOptions } from '../../contract/engine-api.ts';
import type { ModelConfig } from '../../contract/import-api.ts';

/** Banned experts, each as `layer * expertCount + expert`. */
export type Bans = ReadonlySet<number>;

/** The new bans, or why they are refused: each layer must keep as many experts as a token uses. */
export type BanResult = { bans: Bans } | { refusal: string };

type Shape = Pick<ModelConfig, 'layerCount' | 'expertCount' | 'expertsPerToken'>;

/** Bans an expert in one layer, or allows it again if it is banned. */
export function toggleBan(bans: Bans, layer: number, expert: number, shape: Shape): BanResult {
  const id = layer * shape.expertCount + expert;
  const next = new Set(bans);
  if (next.delete(id)) return { bans: next };
  next.add(id);
  return checked(next, shape);
}

/** Bans an expert in every layer, or allows it everywhere if all layers ban it already. */
export function toggleEverywhere(bans: Bans, expert: number, shape: Shape): BanResult {
  const ids = Array.from({ length: shape.layerCount }, (_, layer) => layer * shape.expertCount + expert);
  const next = new Set(bans);
  const all = ids.every((id) => bans.has(id));
  for (const id of ids) {
    if (all) next.delete(id);
    else next.add(id);
  }
  return checked(next, shape);
}

function checked(bans: Bans, { layerCount, expertCount, expertsPerToken }: Shape): BanResult {
  const left = new Array<number>(layerCount).fill(expertCount);
  for (const id of bans) left[Math.floor(id / expertCount)]--;
  const layer = left.findIndex((count) => count < expertsPerToken);
  if (layer < 0) return { bans };
  return {
    refusal:
      `Layer ${layer} would have ${left[layer]} of ${expertCount} experts left, but a token needs ` +
      `${expertsPerToken}. Allow another expert in this layer first.`,
  };
}

/** The bans as the engine takes them, ordered by layer and expert. */
export function bannedList(bans: Bans, expertCount: number): NonNullable<AblationOptions['banned']> {
  return [...bans]
    .sort((a, b) => a - b)
    .map((id) => ({ layer: Math.floor(id / expertCount), expert: id % expertCount }));
}

/** Describes what an ablation changes; empty if nothing. */
export function describeAblation(
  { expertsUsed, randomSeed, banned = [] }: AblationOptions,
  layerCount: number,
): string {
  return [
    ...(expertsUsed === undefined ? [] : [`top ${expertsUsed}`]),
    ...(randomSeed === undefined ? [] : [`random experts, seed ${randomSeed}`]),
    ...(banned.length === 0 ? [] : [`without ${describeBans(banned, layerCount)}`]),
  ].join('; ');
}

/** More bans than this are counted instead of listed. */
const MAX_LISTED = 3;

function describeBans(banned: NonNullable<AblationOptions['banned']>, layerCount: number): string {
  const everywhere = [...new Set(banned.map(({ expert }) => expert))].filter(
    (expert) => banned.filter((ban) => ban.expert === expert).length === layerCount,
  );
  const others = banned.filter(({ expert }) => !everywhere.includes(expert));
  const named = [
    ...everywhere.sort((a, b) => a - b).map((expert) => `expert ${expert} of every layer`),
    ...(others.length > MAX_LISTED ? [] : others.map(({ layer, expert }) => `expert ${expert} of layer ${layer}`)),
  ];
  if (others.length > MAX_LISTED) named.push(`${others.length} ${everywhere.length > 0 ? 'others' : 'experts'}`);
  return named.join(', ');
}

/** The change of perplexity from `exact` to `altered`, as a percentage; from twice as much on, as a factor. */
export function perplexityChange(exact: number, altered: number): string {
  const ratio = altered / exact;
  if (ratio >= 2) return `${ratio.toFixed(1)} times`;
  return `${ratio >= 1 ? '+' : '−'}${Math.abs(100 * (ratio - 1)).toFixed(1)}%`;
}

/** Length of the longest common prefix of two texts, in UTF-16 code units. */
export function commonLength(a: string, b: string): number {
  let n = 0;
  while (n < a.length && n < b.length && a[n] === b[n]) n++;
  return n;
}
