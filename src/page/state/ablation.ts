/** Banned experts and the description of an ablation, for the laboratory of the experts view. Pure. */
import type { AblationOptions } from '../../contract/engine-api.ts';
import type { ModelConfig } from '../../contract/import-api.ts';
import { bannedText, parseBanned } from './expert-lists.ts';

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

/** Bans as text for an address: an expert of every layer as `3`, of one layer as `1.3`. Empty if there are none. */
export function bansText(bans: Bans, { layerCount, expertCount }: Shape): string {
  const everywhere = Array.from({ length: expertCount }, (_, expert) => expert).filter((expert) =>
    Array.from({ length: layerCount }, (_, layer) => layer * expertCount + expert).every((id) => bans.has(id)),
  );
  const single = bannedList(bans, expertCount).filter(({ expert }) => !everywhere.includes(expert));
  return bannedText([...everywhere.map((expert) => ({ expert })), ...single]);
}

/** @returns the bans of a text as {@link bansText} writes it; none if it is none, or not possible with this model */
export function bansFrom(text: string, shape: Shape): Bans {
  const { layerCount, expertCount } = shape;
  const bans = new Set<number>();
  for (const { layer: only, expert } of parseBanned(text) ?? []) {
    if (expert >= expertCount || (only !== undefined && only >= layerCount)) return new Set();
    for (let layer = only ?? 0; layer <= (only ?? layerCount - 1); layer++) bans.add(layer * expertCount + expert);
  }
  return 'bans' in checked(bans, shape) ? bans : new Set();
}

/** The bans as the engine takes them, ordered by layer and expert. */
export function bannedList(bans: Bans, expertCount: number): NonNullable<AblationOptions['banned']> {
  return [...bans]
    .sort((a, b) => a - b)
    .map((id) => ({ layer: Math.floor(id / expertCount), expert: id % expertCount }));
}

/** Describes what an ablation changes; empty if nothing. */
export function describeAblation(ablation: AblationOptions, layerCount: number): string {
  const { randomSeed, noise, banned = [], replaced = [] } = ablation;
  return [
    ...describeRanks(ablation),
    ...(randomSeed === undefined ? [] : [`random experts, seed ${randomSeed}`]),
    ...(noise === undefined || noise.amount === 0 ? [] : [`router noise ${noise.amount}, seed ${noise.seed}`]),
    ...(banned.length === 0 ? [] : [`without ${describeBans(banned, layerCount)}`]),
    ...(replaced.length === 0 ? [] : [describeReplaced(replaced)]),
  ].join('; ');
}

function describeRanks({ expertsUsed, choicesSkipped = 0 }: AblationOptions): string[] {
  if (choicesSkipped === 1 && expertsUsed === 2) return ['second choice only'];
  if (choicesSkipped > 0)
    return [`without the first ${choicesSkipped}${expertsUsed ? ` of ${expertsUsed}` : ''} choices`];
  if (expertsUsed === 1) return ['first choice only'];
  return expertsUsed === undefined ? [] : [`first ${expertsUsed} choices only`];
}

function describeReplaced(replaced: NonNullable<AblationOptions['replaced']>): string {
  const [one, other, ...more] = replaced;
  if (!other && one.expert === undefined && one.layer === undefined) return `expert ${one.by} for all`;
  const isSwap = other && more.length === 0 && one.expert === other.by && other.expert === one.by;
  if (isSwap && one.layer === undefined && other.layer === undefined)
    return `experts ${one.expert} and ${one.by} swapped`;
  return `${replaced.length} experts replaced`;
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
