/**
 * Chooses the variants of the matrix kernels and of the sampler for an adapter: by a short measurement when the first
 * model with a weight type is loaded, remembered for the next visits.
 */
import { expertIndex, layerIndex } from '../../../../src/contract/ids.ts';
import type { AdapterMemory } from '../../../store/adapter-memory.ts';
import type { Dispatch } from '../dispatch.ts';
import { encodeGroups } from '../encode-groups.ts';
import { sampleLogits } from '../model/forward.ts';
import type { Model } from '../model/model.ts';
import { clearExpertOutputs, runExperts } from '../model/moe-layer.ts';
import { matmul } from '../ops/matmul.ts';
import { writeSampleParams } from '../ops/sample.ts';
import { decideVariant } from './decide.ts';
import {
  type KernelAdapter,
  type KernelChoice,
  type KernelVariant,
  variantsFor,
  withVariant,
} from './kernel-variants.ts';
import { FEW_INPUTS } from './matrix-variants.ts';
import { type Candidate, measureInTurns } from './measure-variants.ts';

/** The families that are measured. The other ones have one variant for GPUs. */
const MEASURED = ['vector', 'few', 'batch', 'sampler'] as const;
type MeasuredFamily = (typeof MEASURED)[number];

/** Turns per family. With few candidates and matrices of some MB they take less than {@link DEADLINE_MS}. */
const TURNS = 7;
/** For each family. */
const DEADLINE_MS = 100;
/** Weights of a turn in decode: more than the caches of a GPU, so that memory is measured. */
const VECTOR_BYTES = 128e6;
/** Tokens in the measurements of the families. */
const TOKENS = { few: 4, batch: 64 } satisfies Partial<Record<MeasuredFamily, number>>;

/** The page's settings of a new chat, without penalties. */
const SAMPLING = { temperature: 0.8, topK: 40, topP: 0.95, minP: 0.05 };
/** Its multiples, without whole parts, are spread evenly. */
const GOLDEN_RATIO = (Math.sqrt(5) - 1) / 2;

export interface ChooseInputs {
  /** The variants that are used without a measurement. */
  kernels: KernelChoice;
  /** A model whose buffers are allocated. The contents of its expert slots do not matter. */
  model: Model;
  adapter: KernelAdapter;
  memory: AdapterMemory;
}

/**
 * The variants for a model on this adapter. Software adapters keep theirs. If measuring fails, the standard variants are
 * used, and nothing is remembered.
 */
export async function chooseKernels(inputs: ChooseInputs): Promise<KernelChoice> {
  const { kernels, model, adapter, memory } = inputs;
  if (adapter.software) return kernels;
  const variants = variantsFor(adapter).filter(
    ({ family, name }) => MEASURED.some((measured) => measured === family) && name !== 'rows',
  );
  const key = memoryKey(model, variants);
  const known = readChoice(await memory.get(key), variants);
  if (known) return { ...kernels, ...known };
  const { device } = model.ctx.pipelines;
  device.pushErrorScope('validation');
  let choice: KernelChoice | undefined;
  try {
    choice = await measureFamilies(inputs, variants);
  } catch {
    // Reported by the first use, if it fails there as well.
  }
  const invalid = await device.popErrorScope();
  if (!choice || invalid) return kernels;
  await memory.set(key, Object.fromEntries(MEASURED.map((family) => [family, choice[family]])));
  return choice;
}

/** Other variants, and other weight types, are measured anew. */
function memoryKey({ weights, banks }: Model, variants: readonly KernelVariant[]): string {
  const [{ gate, downLayout }] = banks(layerIndex(0));
  const types = [weights.layers[0].attnQ.layout.type, gate.type, downLayout.type];
  return `kernels ${types.join(' ')}: ${variants.map(({ family, name }) => `${family} ${name}`).join()}`;
}

/** A remembered choice, unless it is not of the form that this version writes. */
export function readChoice(
  value: unknown,
  variants: readonly KernelVariant[],
): Pick<KernelChoice, MeasuredFamily> | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const choice = value as Record<string, unknown>;
  const complete = MEASURED.every((family) =>
    variants.some((variant) => variant.family === family && variant.name === choice[family]),
  );
  if (!complete) return undefined;
  return Object.fromEntries(MEASURED.map((family) => [family, choice[family]])) as Pick<KernelChoice, MeasuredFamily>;
}

async function measureFamilies(
  { kernels, model }: ChooseInputs,
  variants: readonly KernelVariant[],
): Promise<KernelChoice> {
  let choice = kernels;
  prepareGroups(model);
  prepareSampling(model);
  for (const family of MEASURED) {
    const record = recordings(model)[family];
    const own = variants.filter((variant) => variant.family === family);
    if (!record || own.length < 2) continue;
    const candidates = await compileCandidates(model, own, kernels, record);
    model.buffers.state.startBatch(family in TOKENS ? TOKENS[family as keyof typeof TOKENS] : 1, 0);
    const times = await measureInTurns(model.ctx, candidates, { turns: TURNS, deadlineMs: DEADLINE_MS });
    const name = decideVariant(times, kernels[family]);
    choice = withVariant(choice, own.find((variant) => variant.name === name)!);
  }
  clearExpertOutputs(model.ctx.pipelines.device, model.buffers);
  return choice;
}

/** Records what is measured. */
type RecordCalls = (model: Model) => Dispatch[];

/** What is measured for each family; undefined if the model's buffers are too small for it. */
function recordings({ buffers, config }: Model): Record<MeasuredFamily, RecordCalls | undefined> {
  const products =
    (tokens: number): RecordCalls =>
    ({ ctx, weights: { layers }, buffers: { normed, q } }) =>
      matmul(ctx, { matrix: layers[0].attnQ, input: normed, output: q, maxTokens: tokens, label: 'measured' });
  return {
    vector: (model) =>
      measuredLayers(model).flatMap((layer) =>
        runExperts(model, layer, { groupCount: config.expertsPerToken, maxAssignments: 1 }),
      ),
    few: buffers.maxTokens >= FEW_INPUTS ? products(TOKENS.few) : undefined,
    batch: buffers.maxTokens >= TOKENS.batch ? products(TOKENS.batch) : undefined,
    sampler: sampleLogits,
  };
}

/** Sampling as a chat does by default. A few logits are large, and the others a long tail, as in language models. */
function prepareSampling({ ctx, config, buffers }: Model): void {
  const { queue } = ctx.pipelines.device;
  const logits = Float32Array.from(
    { length: config.vocabularySize },
    (_, id) => -2 * Math.log(((id + 1) * GOLDEN_RATIO) % 1),
  );
  queue.writeBuffer(buffers.logits.slice.buffer, 0, logits);
  queue.writeBuffer(buffers.sampleParams.buffer, 0, writeSampleParams(SAMPLING, 1));
}

/** As many layers as it takes for their experts of one token to have {@link VECTOR_BYTES}. */
function measuredLayers({ config, banks }: Model) {
  const [{ gate, up, downLayout }] = banks(layerIndex(0));
  const layerBytes = (gate.bytes + up.bytes + downLayout.bytes) * config.expertsPerToken;
  const count = Math.min(config.layerCount, Math.ceil(VECTOR_BYTES / layerBytes));
  return Array.from({ length: count }, (_, l) => layerIndex(l));
}

/** A work list of one token whose experts are in the first slots of the first bank. */
function prepareGroups({ ctx, config, banks, buffers }: Model): void {
  const [{ firstSlot, slots }] = banks(layerIndex(0));
  const groups = Array.from({ length: config.expertsPerToken }, (_, k) => ({
    expert: expertIndex(k),
    assignments: [k],
  }));
  const words = encodeGroups(groups, (expert) => firstSlot + (expert % slots));
  ctx.pipelines.device.queue.writeBuffer(buffers.groups.buffer, 0, words);
}

/** Compiles the candidates side by side. One that does not compile is left out. */
async function compileCandidates(
  model: Model,
  variants: readonly KernelVariant[],
  kernels: KernelChoice,
  record: RecordCalls,
): Promise<Candidate<KernelVariant['name']>[]> {
  const compiled = variants.map(async (variant) => {
    const ctx = { ...model.ctx, kernels: withVariant(kernels, variant) };
    const own = { ...model, ctx };
    try {
      await ctx.pipelines.compile(() => void record(own));
      return { name: variant.name, dispatches: record(own) };
    } catch {
      return undefined;
    }
  });
  return (await Promise.all(compiled)).filter((candidate) => candidate !== undefined);
}
