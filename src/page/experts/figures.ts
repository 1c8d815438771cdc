/** Turns the engine's report about its experts into figures and sentences. Pure functions. */
import { type ComputeKind, type ExpertsReport, RESIDENCE } from '../../contract/engine-api.ts';
import { formatBytes } from '../../contract/format-bytes.ts';
import { COMPUTE_NAME, RESIDENT_WHERE } from '../state/compute.ts';
import type { FigureTable } from './figure/csv.ts';
import { percent } from './routing.ts';

/** Where the experts with a slot are. On the CPU, that is the only memory besides the disk. */
export const RESIDENT: Record<ComputeKind, number> = { gpu: RESIDENCE.gpu, cpu: RESIDENCE.ram };

/** One layer of the report. */
export interface LayerFigures {
  /** Experts that have a slot: on the GPU, or in memory if the CPU computes. */
  resident: number;
  /** Evicted experts in main memory; only if the GPU computes. */
  ram: number;
  /** Experts that the latest token selected. */
  latest: number[];
  /** The most used expert of this request, with its share of all uses. Undefined if no expert was used. */
  busiest?: { expert: number; share: number };
}

/** @returns the figures of each layer, in order */
export function layerFigures(report: ExpertsReport, kind: ComputeKind): LayerFigures[] {
  const { layerCount, expertCount, residence, uses, newest } = report;
  return Array.from({ length: layerCount }, (_, layer) => {
    const from = layer * expertCount;
    const row = <T extends Uint8Array | Uint32Array>(all: T): number[] => [...all.subarray(from, from + expertCount)];
    const tiers = row(residence);
    const useCounts = row(uses);
    const total = useCounts.reduce((sum, count) => sum + count, 0);
    const most = Math.max(...useCounts);
    return {
      resident: tiers.filter((tier) => tier === RESIDENT[kind]).length,
      ram: kind === 'gpu' ? tiers.filter((tier) => tier === RESIDENCE.ram).length : 0,
      latest: row(newest).flatMap((isSelected, expert) => (isSelected ? [expert] : [])),
      ...(total > 0 && { busiest: { expert: useCounts.indexOf(most), share: most / total } }),
    };
  });
}

/** Where one expert is, in words. */
const whereText = (tier: number, kind: ComputeKind): string =>
  ({ [RESIDENCE.ram]: 'in RAM', [RESIDENCE.store]: 'on disk only', [RESIDENT[kind]]: RESIDENT_WHERE[kind] })[tier] ??
  '';

/** Where each expert is and how it was used: a row per expert. */
export function expertsTable(report: ExpertsReport, kind: ComputeKind): FigureTable {
  const { expertCount, residence, uses, newest } = report;
  return {
    columns: ['Layer', 'Expert', 'Where', 'Times used', `Selected by ${latestName(report)}`],
    rows: [...residence].map((tier, index) => [
      Math.floor(index / expertCount),
      index % expertCount,
      whereText(tier, kind),
      uses[index],
      newest[index] ? 'yes' : 'no',
    ]),
  };
}

/** @returns one sentence that says how many experts are resident, in main memory besides, and on disk only */
export function residenceSentence({ residence }: Pick<ExpertsReport, 'residence'>, kind: ComputeKind): string {
  const countIn = (tier: number): number => residence.reduce((sum, value) => sum + (value === tier ? 1 : 0), 0);
  const where = RESIDENT_WHERE[kind];
  const resident = countIn(RESIDENT[kind]);
  const ram = kind === 'gpu' ? countIn(RESIDENCE.ram) : 0;
  const rest = residence.length - resident - ram;
  if (resident === residence.length) return `All ${resident} experts are ${where}.`;
  const elsewhere = [...(ram > 0 ? [`${ram} in RAM`] : []), ...(rest > 0 ? [`${rest} on disk only`] : [])];
  return `${resident} of ${residence.length} experts ${resident === 1 ? 'is' : 'are'} ${where}, ${elsewhere.join(', ')}.`;
}

/** @returns how much was read from the disk: in total, for the prompt and per generated token */
export function bytesReadText({ cache, promptTokens, promptBytesRead, tokens }: ExpertsReport): string {
  if (promptTokens + tokens === 0)
    return cache.bytesRead > 0 ? `${formatBytes(cache.bytesRead)} so far for the text being read` : 'nothing yet';
  if (cache.bytesRead === 0) return 'nothing: every expert was already in memory';
  const perToken = (cache.bytesRead - promptBytesRead) / tokens;
  const generated = tokens > 0 ? `, ${formatBytes(perToken)} for each of ${tokens} generated tokens` : '';
  const prompt = `${formatBytes(promptBytesRead)} for ${promptTokens} prompt tokens`;
  return `${formatBytes(cache.bytesRead)}: ${prompt}${generated}`;
}

/** One part of the time that a request took. */
export interface TimeShare {
  name: 'compute' | 'experts' | 'other';
  label: string;
  ms: number;
  /** 0 .. 1; the shares add up to 1, or are all 0. */
  share: number;
}

/** Where the time went. The two waits may overlap; `other` is the time that neither of them covers. */
export function timeShares(
  { computeMs, expertWaitMs, elapsedMs }: Pick<ExpertsReport, 'computeMs' | 'expertWaitMs' | 'elapsedMs'>,
  kind: ComputeKind,
): TimeShare[] {
  const other = Math.max(0, elapsedMs - computeMs - expertWaitMs);
  const total = computeMs + expertWaitMs + other;
  const shareOf = (name: TimeShare['name'], label: string, ms: number): TimeShare => ({
    name,
    label,
    ms,
    share: total > 0 ? ms / total : 0,
  });
  return [
    shareOf('compute', `${COMPUTE_NAME[kind]} computing`, computeMs),
    shareOf('experts', 'waiting for experts', expertWaitMs),
    shareOf('other', 'other', other),
  ];
}

/** @returns what is known of one expert: where it is and how often it was used */
export function expertText(report: ExpertsReport, kind: ComputeKind, layer: number, expert: number): string {
  const { expertCount, residence, uses, newest } = report;
  const index = layer * expertCount + expert;
  const used = uses[index] === 1 ? 'once' : `${uses[index]} times`;
  const latest = newest[index] ? `, including by ${latestName(report)}` : '';
  return `Layer ${layer}, expert ${expert}: ${whereText(residence[index], kind)}, used ${used}${latest}`;
}

/** Names what made the latest selection. A prompt or a scored text selects as a whole. */
export const latestName = ({ tokens }: ExpertsReport): string => (tokens > 0 ? 'the latest token' : 'the latest text');

/** @returns how many of the requested experts were already resident */
export function hitsText({ cache: { hits, misses, hitRate, prefetched } }: ExpertsReport, kind: ComputeKind): string {
  if (hits + misses === 0) return 'no experts used yet';
  const prefetchHits = prefetched > 0 ? `; ${prefetched} of ${misses} misses were already being loaded` : '';
  return `${percent(hitRate)} of ${hits + misses} requested experts were already ${RESIDENT_WHERE[kind]}${prefetchHits}`;
}
