/**
 * Turns the engine's reports about experts into plain data, without typed arrays, so that JSON can carry them. Pure.
 */
import { type ComputeKind, type ExpertsReport, RESIDENCE, type ScoreResult } from '../contract/engine-api.ts';
import type { ModelSummary } from '../contract/import-api.ts';
import type { Metrics, Routing } from './types.ts';

/** @param result of a request with `trace: true` */
export function routingOf(
  { id, config }: ModelSummary,
  { tokens, nll, nllError, perplexity, blocks, routing, paths, trace }: ScoreResult,
): Routing {
  const { pieces, selectedExperts } = trace!;
  const { expertsPerToken } = config;
  const expertsAt = (token: number, layer: number): number[] => {
    const at = (token * config.layerCount + layer) * expertsPerToken;
    return [...selectedExperts.subarray(at, at + expertsPerToken)];
  };
  return {
    model: id,
    tokens,
    nll,
    ...(nllError !== undefined && { nllError }),
    perplexity,
    blocks,
    layers: routing,
    paths,
    pieces,
    choices: pieces.map((_, token) => Array.from({ length: config.layerCount }, (_, layer) => expertsAt(token, layer))),
  };
}

const RESIDENCE_NAMES = Object.fromEntries(Object.entries(RESIDENCE).map(([name, number]) => [number, name])) as Record<
  number,
  keyof typeof RESIDENCE
>;

/** Converts a snapshot of the expert cache to nested arrays, `[layer][expert]`. */
export function metricsOf(model: string, compute: ComputeKind, report: ExpertsReport): Metrics {
  const { layerCount, expertCount, residence, uses, newest, ...counts } = report;
  /** [layers * experts] -> [layer][expert] */
  const byLayer = <T>(values: ArrayLike<number>, convert: (value: number) => T): T[][] =>
    Array.from({ length: layerCount }, (_, layer) =>
      Array.from({ length: expertCount }, (_, expert) => convert(values[layer * expertCount + expert])),
    );
  return {
    model,
    compute,
    ...counts,
    residence: byLayer(residence, (value) => RESIDENCE_NAMES[value]),
    uses: byLayer(uses, Number),
    newest: byLayer(newest, Boolean),
  };
}
