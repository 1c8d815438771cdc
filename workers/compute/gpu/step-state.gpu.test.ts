/** The layout of the step state as kernels see it, and what the owner of the buffer writes. */
import { describe, expect, it } from 'vitest';
import { expertId, expertIndex, layerIndex } from '../../../src/contract/ids.ts';
import { noiseStep } from '../router-noise.ts';
import { PipelineCache } from './pipelines.ts';
import {
  decodeStepState,
  encodeStepState,
  readStalledLayer,
  STEP_STATE_BYTES,
  STEP_STATE_OFFSETS,
  STEP_STATE_WGSL,
  StepState,
  type StepStateValues,
} from './step-state.ts';
import { allocate, getTestDevice, readBack, run } from './testing.ts';

const WORDS = STEP_STATE_BYTES / 4;
const ZERO = decodeStepState(encodeStepState({}).buffer);

/** A kernel that copies each member of the struct, in the order of the declaration, to a word of its own. */
function readerKernel(): string {
  const members = [...STEP_STATE_WGSL.matchAll(/^ {2}(\w+): (u32|f32|array<u32, (\w+)>),/gm)];
  const copies = members.map(([, name, , length]) =>
    length
      ? `for (var i = 0u; i < ${length}; i++) { output[at] = state.${name}[i]; at++; }`
      : `output[at] = bitcast<u32>(state.${name}); at++;`,
  );
  return `${STEP_STATE_WGSL}
    @group(0) @binding(0) var<storage, read> state: StepState;
    @group(0) @binding(1) var<storage, read_write> output: array<u32>;
    @compute @workgroup_size(1) fn main() {
      var at = 0u;
      ${copies.join('\n')}
    }`;
}

it('gives kernels each field at the offset that the CPU uses', async () => {
  const gpu = await getTestDevice();
  const pipelines = new PipelineCache(gpu);
  const state = new StepState(gpu);
  const output = allocate(gpu, STEP_STATE_BYTES);
  // Bits of normal f32 numbers, which no adapter flushes to zero.
  const bits = Uint32Array.from({ length: WORDS }, (_, word) => 0x3f800000 + word);
  const floats = new Float32Array(bits.buffer);
  const values: StepStateValues = {
    tokenCount: bits[0],
    position: bits[1],
    stalled: bits[2],
    step: bits[3],
    residentBias: floats[4],
    skipBelow: floats[5],
    expertsUsed: bits[6],
    choicesSkipped: bits[7],
    random: bits[8],
    randomSeed: bits[9],
    noiseStep: floats[10],
    noiseSeed: bits[11],
    replaces: bits[12],
    banned: bits.subarray(13, 132),
    standIns: bits.subarray(132),
  };
  gpu.queue.writeBuffer(state.slice.buffer, 0, encodeStepState(values));
  const kernel = { name: 'step state reader', code: [readerKernel()] };
  await run(gpu, () => [pipelines.dispatch(kernel, {}, [state.slice, output], [1, 1, 1])]);
  expect(await readBack(gpu, output, Uint32Array)).toEqual(bits);
  state.destroy();
});

describe('StepState', () => {
  const read = async (state: StepState) =>
    decodeStepState((await readBack(await getTestDevice(), state.slice, Uint32Array)).buffer);
  /** A state in which every field that the test does not write is 7. */
  const filled = async (): Promise<StepState> => {
    const gpu = await getTestDevice();
    const state = new StepState(gpu);
    gpu.queue.writeBuffer(state.slice.buffer, 0, new Uint32Array(WORDS).fill(7));
    return state;
  };
  const sevens = decodeStepState(new Uint32Array(WORDS).fill(7).buffer);

  it('starts a batch: sets tokens and position, clears the stall, keeps the sampler and the router', async () => {
    const state = await filled();
    state.startBatch(3, 40);
    expect(await read(state)).toEqual({ ...sevens, tokenCount: 3, position: 40, stalled: 0 });
  });

  it('has only the stall mark read back', async () => {
    const state = await filled();
    state.startBatch(3, 40);
    const gpu = await getTestDevice();
    gpu.queue.writeBuffer(state.slice.buffer, STEP_STATE_OFFSETS.stalled * 4, Uint32Array.of(6));
    const mark = await readBack(gpu, state.stallMark, Uint32Array);
    expect([mark.length, readStalledLayer(mark.slice().buffer)]).toEqual([1, 5]);
  });

  it('clears the stall alone', async () => {
    const state = await filled();
    state.clearStall();
    expect(await read(state)).toEqual({ ...sevens, stalled: 0 });
  });

  it("restarts the sampler's step alone", async () => {
    const state = await filled();
    state.startSampling(0);
    expect(await read(state)).toEqual({ ...sevens, step: 0 });
  });

  it('replaces all options of the router and nothing else', async () => {
    const state = await filled();
    const id = (layer: number, expert: number) => expertId(layerIndex(layer), expertIndex(expert), 8);
    state.setRouterOptions({
      residentBias: 0.5,
      skipBelow: 0.25,
      choicesSkipped: 1,
      randomSeed: 0,
      noise: { amount: 2, seed: 9 },
      banned: [id(0, 1), id(3, 7), id(4, 0)],
      replaced: new Map([
        [id(0, 1), expertIndex(0)],
        [id(0, 3), expertIndex(254)],
        [id(1, 0), expertIndex(7)],
      ]),
    });
    const { tokenCount, position, stalled, step } = sevens;
    const batch = { tokenCount, position, stalled, step };
    const banned = Uint32Array.of(2 + 2 ** 31, 1, ...new Array(117).fill(0));
    const standIns = Uint32Array.of(0xff00_0100, 0, 8, ...new Array(949).fill(0));
    expect(await read(state)).toEqual({
      ...ZERO,
      ...batch,
      residentBias: 0.5,
      skipBelow: 0.25,
      choicesSkipped: 1,
      random: 1,
      noiseStep: noiseStep(2),
      noiseSeed: 9,
      replaces: 1,
      banned,
      standIns,
    });
    state.setRouterOptions({});
    expect(await read(state)).toEqual({ ...ZERO, ...batch });
  });
});
