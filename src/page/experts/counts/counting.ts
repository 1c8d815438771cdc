/** What a mixture of experts stores and what it computes per token, from the model's header. Pure functions. */
import type { ModelConfig, ModelFigures, ModelPart } from '../../../contract/import-api.ts';
import type { FigureTable } from '../figure/csv.ts';

/** A part of the model in words. */
export const PART_NAMES: Record<ModelPart, string> = {
  experts: 'Experts',
  attention: 'Attention',
  embedding: 'Embedding',
  output: 'Output head',
  router: 'Routers',
  norms: 'Norms',
};

/** Parameters of one part of the model. */
export interface PartCount {
  part: ModelPart;
  stored: number;
  /** Of these, the parameters that one token uses. */
  active: number;
}

/** The model's own figures. */
export interface Counting {
  /** Largest first. */
  parts: PartCount[];
  stored: number;
  active: number;
  /** Everything but the experts: each token uses all of it. */
  shared: number;
  /** Parameters of one expert of one layer. */
  oneExpert: number;
  /** Experts of all layers together. */
  experts: number;
  /** The model with a single expert per layer. */
  single: number;
  /** What the name suggests: as many complete models as a layer has experts. */
  named: number;
  /** Sets of experts that a token can select in one layer. */
  setsPerLayer: number;
  /** Sets of experts that a token can select in all layers together. */
  paths: bigint;
}

/** Counts the parameters of a model. */
export function countModel(
  { layerCount, expertCount, expertsPerToken }: ModelConfig,
  { parts }: ModelFigures,
): Counting {
  const counted = parts
    .map(({ part, parameters }) => ({
      part,
      stored: parameters,
      active: part === 'experts' ? (parameters * expertsPerToken) / expertCount : parameters,
    }))
    .sort((a, b) => b.stored - a.stored);
  const sumOf = (key: 'stored' | 'active'): number => counted.reduce((sum, count) => sum + count[key], 0);
  const inExperts = counted.find(({ part }) => part === 'experts')?.stored ?? 0;
  const shared = sumOf('stored') - inExperts;
  const setsPerLayer = choose(expertCount, expertsPerToken);
  return {
    parts: counted,
    stored: sumOf('stored'),
    active: sumOf('active'),
    shared,
    oneExpert: inExperts / (layerCount * expertCount),
    experts: layerCount * expertCount,
    single: shared + inExperts / expertCount,
    named: expertCount * (shared + inExperts / expertCount),
    setsPerLayer,
    paths: BigInt(setsPerLayer) ** BigInt(layerCount),
  };
}

/** @returns in how many ways k of n can be chosen */
export function choose(n: number, k: number): number {
  let ways = 1;
  for (let i = 1; i <= k; i++) ways = (ways * (n - k + i)) / i;
  return Math.round(ways);
}

/** One of the models that are compared. */
export interface Costs {
  name: string;
  parameters: number;
  /** Bytes of all weights, at the loaded file's bits per weight. */
  memory: number;
  /** Operations per token: a multiplication and an addition per weight of a matrix that the token is multiplied by. */
  operations: number;
}

/** The mixture beside dense models of its active and of its total size. */
export function compareCosts(
  { stored, active, parts }: Counting,
  { bitsPerWeight, parts: sizes }: ModelFigures,
): Costs[] {
  // The embedding is looked up, not multiplied.
  const lookedUp = parts.find(({ part }) => part === 'embedding')?.stored ?? 0;
  const bytes = sizes.reduce((sum, size) => sum + size.bytes, 0);
  const dense = (name: string, parameters: number): Costs => ({
    name,
    parameters,
    memory: (parameters * bitsPerWeight) / 8,
    operations: 2 * (parameters - lookedUp),
  });
  return [
    { name: 'This mixture', parameters: stored, memory: bytes, operations: 2 * (active - lookedUp) },
    dense('Dense, of the active size', active),
    dense('Dense, of the total size', stored),
  ];
}

/** @returns a huge number such as `2.05 × 10^46`, in full below a million */
export function powerText(count: bigint): string {
  const digits = count.toString();
  if (digits.length <= 6) return Number(count).toLocaleString('en');
  const mantissa = Number(`${digits[0]}.${digits.slice(1, 5)}`).toFixed(2);
  return mantissa === '10.00' ? `1.00 × 10^${digits.length}` : `${mantissa} × 10^${digits.length - 1}`;
}

/** The parameters of each part. */
export function partTable({ parts, stored, active }: Counting): FigureTable {
  return {
    columns: ['Part', 'Stored parameters', 'Active per token'],
    rows: [
      ...parts.map((count) => [PART_NAMES[count.part], count.stored, count.active]),
      ['All parts', stored, active],
    ],
  };
}

/** Memory and operations of each model. */
export const costTable = (costs: readonly Costs[]): FigureTable => ({
  columns: ['Model', 'Parameters', 'Memory (bytes)', 'Operations per token'],
  rows: costs.map(({ name, parameters, memory, operations }) => [name, parameters, Math.round(memory), operations]),
});
