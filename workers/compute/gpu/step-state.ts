/**
 * The step state: a small storage buffer that every kernel of a step reads as binding 0. It holds the batch, the stall
 * mark, the sampler's step and the router's options.
 *
 * `FIELDS` is the only description of its layout. The WGSL struct, the word offsets and the accessors are all derived
 * from it, so a new field is added here and nowhere else.
 */
import { type Bytes, type LayerIndex, layerIndex } from '../../../src/contract/ids.ts';
import { MAX_CHANGEABLE_EXPERTS, type RouterStateOptions } from '../compute.ts';
import { noiseStep } from '../router-noise.ts';
import { type Slice, whole } from './dispatch.ts';

interface Field {
  type: 'u32' | 'f32';
  /** The number of elements, for an array. */
  length?: number;
  doc: string;
}

/** The fields in the order in which they are stored, without gaps: each element takes one 32-bit word. */
const FIELDS = {
  tokenCount: { type: 'u32', doc: 'tokens in this batch; 1 in decode' },
  position: { type: 'u32', doc: "position of the batch's first token in the KV cache" },
  stalled: { type: 'u32', doc: '0, or 1 + the layer that misses an expert; every kernel then returns at once' },
  step: { type: 'u32', doc: "tokens sampled so far in this answer: the counter of the sampler's random numbers" },
  residentBias: { type: 'f32', doc: 'added to the router logits of resident experts in decode; 0 is exact' },
  skipBelow: { type: 'f32', doc: 'in decode, experts with a smaller weight are skipped, except the first; 0 is exact' },
  expertsUsed: { type: 'u32', doc: 'how many of the K experts of a token are used; 0: all' },
  choicesSkipped: { type: 'u32', doc: 'how many of the best experts are passed over before the K are picked' },
  random: { type: 'u32', doc: '1: experts are drawn at random, by seed, layer and position' },
  randomSeed: { type: 'u32', doc: 'seed of the random experts' },
  noiseStep: { type: 'f32', doc: "the router's noise is a random integer times this; 0 is exact" },
  noiseSeed: { type: 'u32', doc: 'seed of the noise' },
  replaces: { type: 'u32', doc: '1: stand_ins applies' },
  banned: {
    type: 'u32',
    length: MAX_CHANGEABLE_EXPERTS / 32,
    doc: 'bit (layer * expert count + expert): the router never picks that expert',
  },
  standIns: {
    type: 'u32',
    length: MAX_CHANGEABLE_EXPERTS / 4,
    doc: 'byte (layer * expert count + expert): 1 + the expert that computes in its place; 0: itself',
  },
} as const satisfies Record<string, Field>;

export type StepStateField = keyof typeof FIELDS;

/** The contents of the step state. Arrays hold their words: `banned` 32 experts each, `standIns` four. */
export type StepStateValues = {
  -readonly [F in StepStateField]: (typeof FIELDS)[F] extends { length: number } ? ArrayLike<number> : number;
};

const lengthOf = (field: Field): number => field.length ?? 1;

/** The first word (32 bits) of each field. */
export const STEP_STATE_OFFSETS = offsetsOf(FIELDS);

/** The size of the buffer. */
export const STEP_STATE_BYTES: Bytes = Object.values(FIELDS).reduce((words, field) => words + lengthOf(field), 0) * 4;

/**
 * The WGSL text that declares `StepState`, and for each array field a constant with its length, e.g. `BANNED_LENGTH`.
 */
export const STEP_STATE_WGSL = toWgsl(FIELDS);

function offsetsOf(fields: Record<StepStateField, Field>): Readonly<Record<StepStateField, number>> {
  let offset = 0;
  const offsets = Object.entries(fields).map(([name, field]) => {
    const first = offset;
    offset += lengthOf(field);
    return [name, first];
  });
  return Object.fromEntries(offsets);
}

function toWgsl(fields: Record<string, Field>): string {
  const snakeCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const constants: string[] = [];
  const members = Object.entries(fields).map(([name, { type, length, doc }]) => {
    const member = snakeCase(name);
    if (length === undefined) return `  ${member}: ${type},  // ${doc}`;
    const constant = `${member.toUpperCase()}_LENGTH`;
    constants.push(`const ${constant} = ${length}u;`);
    return `  ${member}: array<${type}, ${constant}>,  // ${doc}`;
  });
  return [...constants, 'struct StepState {', ...members, '}', ''].join('\n');
}

/** The words of a step state. Fields that are not given are 0. */
export function encodeStepState(values: Partial<StepStateValues>): Uint32Array<ArrayBuffer> {
  const buffer = new ArrayBuffer(STEP_STATE_BYTES);
  const views = { u32: new Uint32Array(buffer), f32: new Float32Array(buffer) };
  for (const [name, value] of Object.entries(values) as [StepStateField, number | ArrayLike<number>][]) {
    views[FIELDS[name].type].set(typeof value === 'number' ? [value] : value, STEP_STATE_OFFSETS[name]);
  }
  return views.u32;
}

/** The contents of a step state that was read back from the GPU. */
export function decodeStepState(buffer: ArrayBuffer): StepStateValues {
  const views = { u32: new Uint32Array(buffer), f32: new Float32Array(buffer) };
  const entries = Object.entries(FIELDS).map(([name, field]) => {
    const first = STEP_STATE_OFFSETS[name as StepStateField];
    const view = views[field.type];
    return [name, 'length' in field ? view.slice(first, first + field.length) : view[first]];
  });
  return Object.fromEntries(entries);
}

/**
 * The layer that stalled a step because it misses an expert, or undefined if the step ran to its end.
 * @param mark what was read back of {@link StepState.stallMark}
 */
export function readStalledLayer(mark: ArrayBuffer): LayerIndex | undefined {
  const [stalled] = new Uint32Array(mark);
  return stalled === 0 ? undefined : layerIndex(stalled - 1);
}

/**
 * Owns the buffer of the step state. All writes from the CPU go through its methods; the kernels write `stalled` and
 * advance it.
 */
export class StepState {
  /** The binding of the kernels. */
  readonly slice: Slice;
  /** What to read back to know whether a step stalled: {@link readStalledLayer}. Its offset does not suit a binding. */
  readonly stallMark: Slice;

  constructor(private readonly device: GPUDevice) {
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    this.slice = whole(device.createBuffer({ label: 'step state', size: STEP_STATE_BYTES, usage }));
    this.stallMark = { ...this.slice, offset: STEP_STATE_OFFSETS.stalled * 4, size: 4 };
  }

  /**
   * Starts a batch of `tokenCount` tokens at `position` of the KV cache and clears the stall mark. The sampler's step
   * stays.
   */
  startBatch(tokenCount: number, position: number): void {
    this.#write({ tokenCount, position, stalled: 0 });
  }

  /** Lets kernels run again after a layer missed an expert. */
  clearStall(): void {
    this.#write({ stalled: 0 });
  }

  /** Starts the sampler's random numbers. @param step tokens of the answer that were sampled before */
  startSampling(step: number): void {
    this.#write({ step });
  }

  /** Replaces all options of the router. */
  setRouterOptions(options: RouterStateOptions): void {
    const { residentBias = 0, skipBelow = 0, expertsUsed = 0, choicesSkipped = 0, randomSeed, noise } = options;
    const banned = new Uint32Array(FIELDS.banned.length);
    for (const id of options.banned ?? []) banned[id >>> 5] |= 1 << (id & 31);
    const standIns = new Uint32Array(FIELDS.standIns.length);
    for (const [id, expert] of options.replaced ?? []) standIns[id >>> 2] |= (expert + 1) << (8 * (id & 3));
    this.#write({
      residentBias,
      skipBelow,
      expertsUsed,
      choicesSkipped,
      random: randomSeed === undefined ? 0 : 1,
      randomSeed: randomSeed ?? 0,
      noiseStep: noise ? noiseStep(noise.amount) : 0,
      noiseSeed: noise?.seed ?? 0,
      replaces: options.replaced ? 1 : 0,
      banned,
      standIns,
    });
  }

  destroy(): void {
    this.slice.buffer.destroy();
  }

  /** Writes adjacent fields with one call; the others keep their values. */
  #write(values: Partial<StepStateValues>): void {
    const names = Object.keys(values) as StepStateField[];
    const first = Math.min(...names.map((name) => STEP_STATE_OFFSETS[name]));
    const words = names.reduce((sum, name) => sum + lengthOf(FIELDS[name]), 0);
    const end = Math.max(...names.map((name) => STEP_STATE_OFFSETS[name] + lengthOf(FIELDS[name])));
    if (end - first !== words) throw new RangeError(`The fields ${names.join(', ')} are not adjacent.`);
    const { buffer, offset } = this.slice;
    this.device.queue.writeBuffer(buffer, offset + first * 4, encodeStepState(values), first, words);
  }
}
