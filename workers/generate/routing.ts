/** Statistics of which experts tokens select (section 5 of the Mixtral paper). Pure. */
import type { LayerRouting } from '../../src/contract/engine-api.ts';
import type { ModelConfig } from '../../src/contract/import-api.ts';
import { blockCount, blockOf, standardError } from './blocks.ts';

/** Which experts consecutive tokens use. */
export interface RoutingTrace {
  /** u8[tokens, layerCount, expertsPerToken] */
  selectedExperts: Uint8Array;
  layerCount: number;
  expertsPerToken: number;
  expertCount: number;
  /** Indices of tokens that begin a text: they do not follow the token before them. */
  starts: Set<number>;
}

/** A trace of `tokens` tokens, to be filled by {@link recordSelection}. */
export const createTrace = (
  { layerCount, expertsPerToken, expertCount }: ModelConfig,
  tokens: number,
): RoutingTrace => ({
  selectedExperts: new Uint8Array(tokens * layerCount * expertsPerToken),
  layerCount,
  expertsPerToken,
  expertCount,
  starts: new Set(),
});

/** @param experts [expertsPerToken], best first */
export function recordSelection(trace: RoutingTrace, token: number, layer: number, experts: ArrayLike<number>): void {
  trace.selectedExperts.set(experts, (token * trace.layerCount + layer) * trace.expertsPerToken);
}

/** The usage of each expert, and how often consecutive tokens select the same ones, per layer. */
export function routingOf(trace: RoutingTrace): LayerRouting[] {
  return Array.from({ length: trace.layerCount }, (_, layer) => layerRouting(trace, layer));
}

/** Counts of one block of tokens, or of the whole text. */
interface Counts {
  tokens: number;
  /** Selections per expert. */
  uses: number[];
  /** Pairs of consecutive tokens; counted in the block of the second one. */
  pairs: number;
  sameFirst: number;
  sameAny: number;
}

function layerRouting(trace: RoutingTrace, layer: number): LayerRouting {
  const tokens = tokenCount(trace);
  const blocks = Array.from({ length: blockCount(tokens) }, () => emptyCounts(trace.expertCount));
  let previous: Uint8Array | undefined;
  for (let token = 0; token < tokens; token++) {
    const experts = expertsOf(trace, token, layer);
    const before = trace.starts.has(token) ? undefined : previous;
    countToken(blocks[blockOf(token, tokens, blocks.length)], experts, before);
    previous = experts;
  }
  const all = blocks.map((block) => sharesOf(block, trace.expertsPerToken));
  return {
    ...sharesOf(blocks.reduce(addCounts, emptyCounts(trace.expertCount)), trace.expertsPerToken),
    ...randomRepeats(trace, layer),
    ...(blocks.length > 1 && {
      errors: {
        blocks: blocks.length,
        use: Array.from({ length: trace.expertCount }, (_, expert) => standardError(all.map(({ use }) => use[expert]))),
        sameFirst: standardError(all.map(({ sameFirst }) => sameFirst)),
        sameAny: standardError(all.map(({ sameAny }) => sameAny)),
      },
    }),
  };
}

const tokenCount = ({ selectedExperts, layerCount, expertsPerToken }: RoutingTrace): number =>
  selectedExperts.length / (layerCount * expertsPerToken);

/** @returns u8[expertsPerToken], best first */
function expertsOf({ selectedExperts, layerCount, expertsPerToken }: RoutingTrace, token: number, layer: number) {
  const offset = (token * layerCount + layer) * expertsPerToken;
  return selectedExperts.subarray(offset, offset + expertsPerToken);
}

const emptyCounts = (expertCount: number): Counts => ({
  tokens: 0,
  uses: new Array<number>(expertCount).fill(0),
  pairs: 0,
  sameFirst: 0,
  sameAny: 0,
});

function countToken(counts: Counts, experts: Uint8Array, before: Uint8Array | undefined): void {
  counts.tokens++;
  for (const expert of experts) counts.uses[expert]++;
  if (!before) return;
  counts.pairs++;
  if (experts[0] === before[0]) counts.sameFirst++;
  if (experts.some((expert) => before.includes(expert))) counts.sameAny++;
}

const addCounts = (a: Counts, b: Counts): Counts => ({
  tokens: a.tokens + b.tokens,
  uses: a.uses.map((count, expert) => count + b.uses[expert]),
  pairs: a.pairs + b.pairs,
  sameFirst: a.sameFirst + b.sameFirst,
  sameAny: a.sameAny + b.sameAny,
});

function sharesOf({ tokens, uses, pairs, sameFirst, sameAny }: Counts, expertsPerToken: number) {
  return {
    use: uses.map((count) => count / (tokens * expertsPerToken)),
    sameFirst: pairs ? sameFirst / pairs : 0,
    sameAny: pairs ? sameAny / pairs : 0,
  };
}

/** How often two tokens drawn at random from the text, with replacement, would select the same experts. */
function randomRepeats(trace: RoutingTrace, layer: number): { randomFirst: number; randomAny: number } {
  const tokens = tokenCount(trace);
  const firsts = new Array<number>(trace.expertCount).fill(0);
  const sets = new Map<string, { experts: number[]; count: number }>();
  for (let token = 0; token < tokens; token++) {
    const experts = expertsOf(trace, token, layer);
    firsts[experts[0]]++;
    const sorted = [...experts].sort((a, b) => a - b);
    const set = sets.get(sorted.join()) ?? { experts: sorted, count: 0 };
    set.count++;
    sets.set(sorted.join(), set);
  }
  const list = [...sets.values()];
  let common = 0;
  for (const a of list)
    for (const b of list) if (a.experts.some((expert) => b.experts.includes(expert))) common += a.count * b.count;
  return {
    randomFirst: firsts.reduce((sum, count) => sum + (count / tokens) ** 2, 0),
    randomAny: common / tokens ** 2,
  };
}

/** @returns how many different paths the tokens took: sets of experts in all layers together */
export function pathCount(trace: RoutingTrace): number {
  const paths = new Set<string>();
  for (let token = 0; token < tokenCount(trace); token++) {
    const sets = Array.from({ length: trace.layerCount }, (_, layer) =>
      String.fromCharCode(...expertsOf(trace, token, layer).slice().sort()),
    );
    paths.add(sets.join(''));
  }
  return paths.size;
}
