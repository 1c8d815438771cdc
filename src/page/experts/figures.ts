/** What the experts' report says in figures and words. Pure. */
import { type ExpertsReport, RESIDENCE } from '../../contract/engine-api.ts';
import { formatBytes } from '../../contract/format-bytes.ts';
import { percent } from './routing.ts';

/** One layer of the report. */
export interface LayerFigures {
  gpu: number;
  ram: number;
  /** Experts that the newest token chose. */
  newest: number[];
  /** The expert used most since the request began; undefined where none was. */
  busiest?: { expert: number; share: number };
}

export function layerFigures({ layerCount, expertCount, residence, uses, newest }: ExpertsReport): LayerFigures[] {
  return Array.from({ length: layerCount }, (_, layer) => {
    const from = layer * expertCount;
    const row = <T extends Uint8Array | Uint32Array>(all: T): number[] => [...all.subarray(from, from + expertCount)];
    const tiers = row(residence);
    const used = row(uses);
    const total = used.reduce((sum, count) => sum + count, 0);
    const most = Math.max(...used);
    return {
      gpu: tiers.filter((tier) => tier === RESIDENCE.gpu).length,
      ram: tiers.filter((tier) => tier === RESIDENCE.ram).length,
      newest: row(newest).flatMap((chosen, expert) => (chosen ? [expert] : [])),
      ...(total > 0 && { busiest: { expert: used.indexOf(most), share: most / total } }),
    };
  });
}

/** Where the experts are, in one sentence. */
export function whereSentence({ residence }: Pick<ExpertsReport, 'residence'>): string {
  const countIn = (tier: number): number => residence.reduce((sum, value) => sum + (value === tier ? 1 : 0), 0);
  const [gpu, ram] = [countIn(RESIDENCE.gpu), countIn(RESIDENCE.ram)];
  const rest = residence.length - gpu - ram;
  if (gpu === residence.length) return `All ${gpu} experts are on the GPU.`;
  const elsewhere = [...(ram > 0 ? [`${ram} in main memory`] : []), ...(rest > 0 ? [`${rest} in the store only`] : [])];
  return `Of ${residence.length} experts ${gpu} ${gpu === 1 ? 'is' : 'are'} on the GPU, ${elsewhere.join(', ')}.`;
}

/** Bytes read from the store: in all, for the prompt, and for each token written; undefined where none was. */
export function streamedSentence({ cache, promptTokens, promptBytesRead, tokens }: ExpertsReport): string {
  if (promptTokens + tokens === 0)
    return cache.bytesRead > 0
      ? `${formatBytes(cache.bytesRead)} so far, for the text that is being read`
      : 'nothing yet';
  if (cache.bytesRead === 0) return 'nothing: every expert that was asked for was there';
  const written =
    tokens > 0
      ? `, ${formatBytes((cache.bytesRead - promptBytesRead) / tokens)} for each of ${tokens} tokens written`
      : '';
  return `${formatBytes(cache.bytesRead)}: ${formatBytes(promptBytesRead)} for ${promptTokens} tokens read${written}`;
}

export interface TimeShare {
  name: 'GPU' | 'experts' | 'rest';
  label: string;
  ms: number;
  share: number;
}

/** Where the time went; the waits may overlap, the rest is what neither takes. */
export function timeShares({
  gpuWaitMs,
  expertWaitMs,
  elapsedMs,
}: Pick<ExpertsReport, 'gpuWaitMs' | 'expertWaitMs' | 'elapsedMs'>): TimeShare[] {
  const rest = Math.max(0, elapsedMs - gpuWaitMs - expertWaitMs);
  const whole = gpuWaitMs + expertWaitMs + rest;
  const part = (name: TimeShare['name'], label: string, ms: number): TimeShare => ({
    name,
    label,
    ms,
    share: whole > 0 ? ms / whole : 0,
  });
  return [
    part('GPU', 'the GPU computes', gpuWaitMs),
    part('experts', 'waiting for experts', expertWaitMs),
    part('rest', 'the rest', rest),
  ];
}

/** Where a cell's expert is and what it did. */
export function cellTitle(report: ExpertsReport, layer: number, expert: number): string {
  const { expertCount, residence, uses, newest } = report;
  const at = layer * expertCount + expert;
  const where = {
    [RESIDENCE.gpu]: 'on the GPU',
    [RESIDENCE.ram]: 'in main memory',
    [RESIDENCE.store]: 'in the store only',
  }[residence[at]];
  const used = uses[at] === 1 ? 'once' : `${uses[at]} times`;
  return `Layer ${layer}, expert ${expert}: ${where}, used ${used}${newest[at] ? `, by ${newestName(report)} too` : ''}`;
}

/** Whom the newest choices belong to: a prompt, or a text that is scored, chooses as one. */
export const newestName = ({ tokens }: ExpertsReport): string =>
  tokens > 0 ? 'the newest token' : 'the text read last';

export function hitSentence({ cache: { hits, misses, hitRate, prefetched } }: ExpertsReport): string {
  if (hits + misses === 0) return 'nothing was asked for yet';
  const ahead =
    prefetched > 0
      ? `; of ${misses} that were not, ${prefetched} ${prefetched === 1 ? 'was' : 'were'} being read already`
      : '';
  return `${percent(hitRate)} of ${hits + misses} were on the GPU when they were asked for${ahead}`;
}
