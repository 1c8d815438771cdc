/** What the laboratory changes: bans, of which each layer keeps as many experts as a token uses; and the change in words. Pure. */
import type { AblationOptions } from '../../contract/engine-api.ts';
import type { ModelConfig } from '../../contract/import-api.ts';

/** Numbers `layer * expertCount + expert`. */
export type Bans = ReadonlySet<number>;

/** What was asked for, or why it cannot be. */
export type BanResult = { bans: Bans } | { refusal: string };

type Shape = Pick<ModelConfig, 'layerCount' | 'expertCount' | 'expertsPerToken'>;

/** Bans an expert, or allows it again. */
export function toggleBan(bans: Bans, layer: number, expert: number, shape: Shape): BanResult {
  const id = layer * shape.expertCount + expert;
  const next = new Set(bans);
  if (next.delete(id)) return { bans: next };
  next.add(id);
  return checked(next, shape);
}

/** Bans an expert in every layer, or, where it is banned in all of them, allows it everywhere. */
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
  const short = left.findIndex((count) => count < expertsPerToken);
  if (short < 0) return { bans };
  return {
    refusal:
      `Layer ${short} would have ${left[short]} of ${expertCount} experts left, but a token needs ` +
      `${expertsPerToken}. Allow another expert in this layer first.`,
  };
}

/** As the engine wants them. */
export function bannedList(bans: Bans, expertCount: number): NonNullable<AblationOptions['banned']> {
  return [...bans]
    .sort((a, b) => a - b)
    .map((id) => ({ layer: Math.floor(id / expertCount), expert: id % expertCount }));
}

/** What an ablation changes, in words; empty where nothing. */
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

/** Longer lists are counted. */
const MOST_NAMED = 3;

function describeBans(banned: NonNullable<AblationOptions['banned']>, layerCount: number): string {
  const everywhere = [...new Set(banned.map(({ expert }) => expert))].filter(
    (expert) => banned.filter((ban) => ban.expert === expert).length === layerCount,
  );
  const others = banned.filter(({ expert }) => !everywhere.includes(expert));
  const named = [
    ...everywhere.sort((a, b) => a - b).map((expert) => `expert ${expert} of every layer`),
    ...(others.length > MOST_NAMED ? [] : others.map(({ layer, expert }) => `expert ${expert} of layer ${layer}`)),
  ];
  if (others.length > MOST_NAMED) named.push(`${others.length} ${everywhere.length > 0 ? 'others' : 'experts'}`);
  return named.join(', ');
}

/** How much worse (or better) the perplexity became. */
export function perplexityChange(exact: number, altered: number): string {
  const ratio = altered / exact;
  if (ratio >= 2) return `${ratio.toFixed(1)} times`;
  return `${ratio >= 1 ? '+' : '−'}${Math.abs(100 * (ratio - 1)).toFixed(1)}%`;
}

/** How many characters two texts begin with in common. */
export function commonLength(a: string, b: string): number {
  let n = 0;
  while (n < a.length && n < b.length && a[n] === b[n]) n++;
  return n;
}
