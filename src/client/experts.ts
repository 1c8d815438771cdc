/** The engine's reports of its experts as plain data, which any window and JSON can carry. Pure. */
import { type ExpertsReport, RESIDENCE, type ScoreResult } from '../contract/engine-api.ts';
import type { ModelSummary } from '../contract/import-api.ts';
import type { Metrics, Routing } from './types.ts';

/** @param result with a trace */
export function routingOf(
  { id, config }: ModelSummary,
  { tokens, nll, perplexity, routing, trace }: ScoreResult,
): Routing {
  const { pieces, selectedExperts } = trace!;
  const used = config.expertsPerToken;
  const of = (token: number, layer: number): number[] => {
    const at = (token * config.layerCount + layer) * used;
    return [...selectedExperts.subarray(at, at + used)];
  };
  return {
    model: id,
    tokens,
    nll,
    perplexity,
    layers: routing,
    pieces,
    choices: pieces.map((_, token) => Array.from({ length: config.layerCount }, (_, layer) => of(token, layer))),
  };
}

const NAMES = Object.fromEntries(Object.entries(RESIDENCE).map(([name, number]) => [number, name])) as Record<
  number,
  keyof typeof RESIDENCE
>;

export function metricsOf(model: string, report: ExpertsReport): Metrics {
  const { layerCount, expertCount, residence, uses, newest, ...counts } = report;
  const rows = <T>(values: ArrayLike<number>, of: (value: number) => T): T[][] =>
    Array.from({ length: layerCount }, (_, layer) =>
      Array.from({ length: expertCount }, (_, expert) => of(values[layer * expertCount + expert])),
    );
  return {
    model,
    ...counts,
    residence: rows(residence, (value) => NAMES[value]),
    uses: rows(uses, Number),
    newest: rows(newest, Boolean),
  };
}
