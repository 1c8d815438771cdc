/**
 * Chooses the variants of the matrix kernels and of the sampler for an adapter: by a short measurement when the first
 * model with such matrices or such a vocabulary is loaded, remembered for the next visits.
 */
import { expertIndex, layerIndex } from '../../../../src/contract/ids.ts';
import type { TensorLayout } from '../../../format/weight-layout.ts';
import type { AdapterMemory } from '../../../store/adapter-memory.ts';
import type { Dispatch } from '../dispatch.ts';
import { encodeGroups } from '../encode-groups.ts';
import { withAllocations } from '../errors.ts';
import { sampleLogits } from '../model/forward.ts';
import type { Model } from '../model/model.ts';
import { clearExpertOutputs, runExperts } from '../model/moe-layer.ts';
import { matmul } from '../ops/matmul.ts';
import { writeSampleParams } from '../ops/sample.ts';
import { submitPaced } from '../pacing.ts';
import { decideVariant } from './decide.ts';
import {
  type KernelAdapter,
  type KernelChoice,
  type KernelVariant,
  variantsFor,
  withVariant,
} from './kernel-variants.ts';
import { FEW_INPUTS } from './matrix-variants.ts';
import { type Candidate, isTooCoarse, measureInTurns } from './measure-variants.ts';

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
  /** Milliseconds by which the clock advances. */
  clockStepMs: number;
}

/**
 * The variants for a model on this adapter. Software adapters keep theirs. A family that cannot be measured keeps its
 * standard variant, or gets the first one that runs, and nothing is remembered about it.
 */
export async function chooseKernels(inputs: ChooseInputs): Promise<KernelChoice> {
  const { model, adapter, memory } = inputs;
  let choice = inputs.kernels;
  if (adapter.software) return choice;
  const unknown: Family[] = [];
  for (const family of familiesOf(model, adapter)) {
    const known = await memory.get(family.fact);
    const variant = family.variants.find(({ name }) => name === known);
    if (variant) choice = withVariant(choice, variant);
    else unknown.push(family);
  }
  if (unknown.length === 0) return choice;
  try {
    for (const { fact, variant, isMeasured } of await measureFamilies(inputs, unknown)) {
      if (isMeasured) await memory.set(fact, variant.name);
      choice = withVariant(choice, variant);
    }
  } catch {
    // Reported by the first use, if it fails there as well.
  }
  return choice;
}

/** A family of which an adapter runs several variants. */
interface Family {
  family: MeasuredFamily;
  variants: readonly KernelVariant[];
  /** Name of the choice among the facts about an adapter. */
  fact: string;
}

/** The families of which an adapter runs several variants. */
function familiesOf(model: Model, adapter: KernelAdapter): Family[] {
  const variants = variantsFor(adapter);
  return MEASURED.flatMap((family) => {
    const own = variants.filter((variant) => variant.family === family);
    return own.length < 2 ? [] : [{ family, variants: own, fact: factName(family, model, own) }];
  });
}

/** Other variants, and other shapes of what is measured, are measured anew. */
function factName(
  family: MeasuredFamily,
  { weights, banks, config }: Model,
  variants: readonly KernelVariant[],
): string {
  const [{ gate, up, downLayout }] = banks(layerIndex(0));
  const query = shapeOf(weights.layers[0].attnQ.layout);
  const measured: Record<MeasuredFamily, string> = {
    vector: [gate, up, downLayout].map(shapeOf).join(' '),
    few: query,
    batch: query,
    sampler: `vocabulary ${config.vocabularySize}`,
  };
  return `kernels ${family}, ${measured[family]}: ${variants.map(({ name }) => name).join()}`;
}

const shapeOf = ({ type, rows, cols }: TensorLayout): string => `${type} ${rows}x${cols}`;

/** The variant that was found for a family. */
interface FoundVariant {
  fact: string;
  variant: KernelVariant;
  /** Whether its time was compared with that of the others. */
  isMeasured: boolean;
}

/** Measures families one after the other. Those for which the model is too small, or no variant runs, are left out. */
async function measureFamilies(inputs: ChooseInputs, families: readonly Family[]): Promise<FoundVariant[]> {
  const { model } = inputs;
  const found: FoundVariant[] = [];
  prepareGroups(model);
  prepareSampling(model);
  try {
    for (const family of families) {
      const one = await measureFamily(inputs, family);
      if (one) found.push(one);
    }
  } finally {
    clearExpertOutputs(model.ctx.pipelines.device, model.buffers);
  }
  return found;
}

async function measureFamily(
  inputs: ChooseInputs,
  { family, variants, fact }: Family,
): Promise<FoundVariant | undefined> {
  const { kernels, model, clockStepMs } = inputs;
  const record = recordings(model)[family];
  if (!record) return undefined;
  model.buffers.state.startBatch(family in TOKENS ? TOKENS[family as keyof typeof TOKENS] : 1, 0);
  const candidates = await compileCandidates(inputs, variants, record);
  const standard = candidates.find(({ name }) => name === kernels[family]) ?? candidates.at(0);
  if (!standard) return undefined;
  const options = { turns: TURNS, deadlineMs: DEADLINE_MS, clockStepMs };
  const measured = await measureInTurns(model.ctx, candidates, options);
  const name = measured ? decideVariant(measured, standard.name) : standard.name;
  const variant = variants.find((one) => one.name === name)!;
  return { fact, variant, isMeasured: measured !== undefined };
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

/**
 * Compiles the candidates side by side, and runs each once. One of which the device reports an error is left out. If they
 * cannot be compared anyway, only the first that runs is compiled, the standard one before the others.
 */
async function compileCandidates(
  { model, kernels, clockStepMs }: ChooseInputs,
  variants: readonly KernelVariant[],
  record: RecordCalls,
): Promise<Candidate<KernelVariant['name']>[]> {
  const { pipelines } = model.ctx;
  const modelWith = (variant: KernelVariant): Model => ({
    ...model,
    ctx: { ...model.ctx, kernels: withVariant(kernels, variant) },
  });
  const canCompile = (variant: KernelVariant): Promise<boolean> =>
    pipelines.canCompile(() => void record(modelWith(variant)));
  const candidates: Candidate<KernelVariant['name']>[] = [];
  const tryVariant = async (variant: KernelVariant, isCompiled: Promise<boolean>): Promise<void> => {
    if (!(await isCompiled)) return;
    try {
      const dispatches = await withAllocations(
        pipelines.device,
        () => tryOnce(modelWith(variant), record),
        () => {},
      );
      candidates.push({ name: variant.name, dispatches });
    } catch {
      // left out
    }
  };
  if (isTooCoarse(clockStepMs)) {
    const isStandard = ({ family, name }: KernelVariant): boolean => kernels[family] === name;
    const standardFirst = [...variants].sort((a, b) => Number(isStandard(b)) - Number(isStandard(a)));
    for (const variant of standardFirst) if (candidates.length === 0) await tryVariant(variant, canCompile(variant));
    return candidates;
  }
  const compiled = variants.map(canCompile);
  for (const [index, variant] of variants.entries()) await tryVariant(variant, compiled[index]);
  return candidates;
}

function tryOnce(model: Model, record: RecordCalls): Dispatch[] {
  const dispatches = record(model);
  submitPaced(model.ctx, dispatches, 'try');
  return dispatches;
}
