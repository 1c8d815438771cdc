/** How a GPU rounds, whether it keeps subnormal numbers, and whether `exp` is as right as WGSL demands. */
import numbersCode from '../../../shaders/measure_numbers.wgsl?raw';
import type { ReportError } from '../check-variants.ts';
import { encodeAndWait } from '../encode-and-wait.ts';
import type { Measurement } from '../measurement.ts';

/**
 * To be rounded to f16, whose neighbors of 1 are 2^-10 apart: the middle between 1 and the next number, the middle between
 * that and the one after it, and three quarters of the way from 1 to the next.
 */
const TO_ROUND = [1 + 2 ** -11, 1 + 3 * 2 ** -11, 1 + 0.75 * 2 ** -10];
/** How the three numbers round: the last bits of their f16. */
const ROUNDINGS = new Map([
  ['0 2 1', 'to nearest, ties to even'],
  ['1 2 1', 'up, at least the middle'],
  ['0 1 0', 'toward zero'],
]);
const HALF_OF_1 = 0x3c00;
/** Subnormal as f32. */
const SUBNORMAL = 1e-39;
/** Its square is subnormal as f32. */
const ROOT_OF_SUBNORMAL = 1e-20;
/** The least f16 above 0: 2^-24. */
const LEAST_HALF = 1;

/** Of `exp`: the whole range in which its result is a normal f32. */
const ARGUMENTS = Float32Array.from({ length: 176 }, (_, n) => n - 87 + 1 / 3);
/** Of `exp`: softmax gets differences of any size. The result is 0. */
const FAR_BELOW = Float32Array.of(-150, -1000, -1e30, -3e38);

/** The numbers for shaders/measure_numbers.wgsl. */
export function probeInput(): Uint32Array {
  const input = new Uint32Array(8 + ARGUMENTS.length + FAR_BELOW.length);
  new Float32Array(input.buffer).set([...TO_ROUND, 0, SUBNORMAL, 1, ROOT_OF_SUBNORMAL]);
  input[7] = LEAST_HALF;
  input.set(new Uint32Array(ARGUMENTS.buffer), 8);
  input.set(new Uint32Array(FAR_BELOW.buffer), 8 + ARGUMENTS.length);
  return input;
}

/** What the results of {@link probeInput} mean. */
export interface NumberFindings {
  /** How `pack2x16float` rounds. */
  rounding: string;
  /** What becomes of subnormal f32 that are read, and that are computed. */
  subnormals: string;
  /** What `unpack2x16float` makes of subnormal f16. */
  halfSubnormals: string;
  /** The largest error of `exp`, relative to the one that WGSL allows; Infinity if a result that should be 0 is not. */
  expError: number;
}

/** @param output what the kernel has written: u32 `[8 + arguments of exp]` */
export function readProbe(output: Uint32Array): NumberFindings {
  const floats = new Float32Array(output.buffer, output.byteOffset, output.length);
  const kept = (n: number): string => (floats[n] === 0 ? 'become 0' : 'kept');
  const lastBits = [...output.subarray(0, 3)].map((bits) => bits - HALF_OF_1).join(' ');
  const results = floats.subarray(8);
  let expError = 0;
  for (const [n, x] of ARGUMENTS.entries()) {
    // 3 + 2 |x| units in the last place (WGSL, "Accuracy of built-in functions").
    const allowed = (3 + 2 * Math.abs(x)) * 2 ** -23;
    const error = Math.abs(results[n] / Math.exp(x) - 1) / allowed;
    if (!(error <= expError)) expError = Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
  }
  const isZero = [...results.subarray(ARGUMENTS.length)].every((value) => value === 0);
  return {
    rounding: ROUNDINGS.get(lastBits) ?? `in another way (${lastBits})`,
    subnormals: `${kept(4)} when read, ${kept(5)} when computed`,
    halfSubnormals: kept(6),
    expError: isZero ? expError : Number.POSITIVE_INFINITY,
  };
}

/** Reports the findings. Only `exp` can be wrong: kernels need none of the others. */
export async function checkNumbers(measurement: Measurement, report: ReportError): Promise<void> {
  const { device, gpu } = measurement;
  await measurement.withBuffers(async (buffers) => {
    const input = probeInput();
    const output = buffers.allocate(input.byteLength);
    const dispatch = gpu.pipelines.dispatch(
      { name: 'measure numbers', code: [numbersCode] },
      { COUNT: input.length - 8 },
      [buffers.upload(input), output],
      [1, 1, 1],
    );
    await encodeAndWait(device, [dispatch]);
    const words = new Uint32Array(await buffers.read(output)).subarray(0, input.length);
    const { rounding, subnormals, halfSubnormals, expError } = readProbe(words);
    measurement.add({ name: 'pack2x16float rounds', value: 1, unit: '', text: rounding });
    measurement.add({ name: 'subnormal f32', value: 1, unit: '', text: subnormals });
    measurement.add({ name: 'subnormal f16', value: 1, unit: '', text: halfSubnormals });
    report('exp', undefined, expError);
  });
}
