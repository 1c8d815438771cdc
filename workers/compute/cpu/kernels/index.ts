/** What the host calls. Types are numbered as in GGUF. All addresses are multiples of 16. */
import { Attention } from './attention';
import { Grids } from './grids';
import { Matmul } from './matmul';
import { BF16, F16, F32, Plain } from './plain';
import { Sampler } from './sampler';
import { Inputs, Matrix, SamplerState } from './structs';
import { IQ4_NL, MXFP4, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 } from './types-32';
import { IQ1_M, IQ1_S, IQ2_S, IQ2_XS, IQ2_XXS, IQ3_S, IQ3_XXS, IQ4_XS } from './types-iq';
import { Q2_K, Q3_K, Q4_K, Q5_K, Q6_K } from './types-k';
import { Vector } from './vector';

/** Where the host may begin to use memory. */
export function heapStart(): usize {
  return (__heap_base + 63) & ~63;
}

/** See `Grids.place`. */
export function placeGrids(at: usize): void {
  Grids.place(at);
}

/** See `Matmul.run`. Returns false for a type that has no kernel here. */
export function matmul(
  type: i32,
  m: Matrix,
  rows: i32,
  columns: i32,
  tokens: i32,
  x: Inputs,
  out: usize,
  stride: i32,
  tiled: bool,
): bool {
  return (
    matmulSmallBlocks(type, m, rows, columns, tokens, x, out, stride, tiled) ||
    matmulKQuants(type, m, rows, columns, tokens, x, out, stride, tiled) ||
    matmulIQuants(type, m, rows, columns, tokens, x, out, stride, tiled)
  );
}

function matmulSmallBlocks(
  type: i32,
  m: Matrix,
  rows: i32,
  columns: i32,
  tokens: i32,
  x: Inputs,
  out: usize,
  stride: i32,
  tiled: bool,
): bool {
  if (type == 2) Matmul.run<Q4_0>(m, rows, columns, tokens, x, out, stride, tiled);
  else if (type == 3) Matmul.run<Q4_1>(m, rows, columns, tokens, x, out, stride, tiled);
  else if (type == 6) Matmul.run<Q5_0>(m, rows, columns, tokens, x, out, stride, tiled);
  else if (type == 7) Matmul.run<Q5_1>(m, rows, columns, tokens, x, out, stride, tiled);
  else if (type == 8) Matmul.run<Q8_0>(m, rows, columns, tokens, x, out, stride, tiled);
  else if (type == 20) Matmul.run<IQ4_NL>(m, rows, columns, tokens, x, out, stride, tiled);
  else if (type == 39) Matmul.run<MXFP4>(m, rows, columns, tokens, x, out, stride, tiled);
  else return false;
  return true;
}

function matmulKQuants(
  type: i32,
  m: Matrix,
  rows: i32,
  columns: i32,
  tokens: i32,
  x: Inputs,
  out: usize,
  stride: i32,
  tiled: bool,
): bool {
  if (type == 10) Matmul.run<Q2_K>(m, rows, columns, tokens, x, out, stride, tiled);
  else if (type == 11) Matmul.run<Q3_K>(m, rows, columns, tokens, x, out, stride, tiled);
  else if (type == 12) Matmul.run<Q4_K>(m, rows, columns, tokens, x, out, stride, tiled);
  else if (type == 13) Matmul.run<Q5_K>(m, rows, columns, tokens, x, out, stride, tiled);
  else if (type == 14) Matmul.run<Q6_K>(m, rows, columns, tokens, x, out, stride, tiled);
  else return false;
  return true;
}

function matmulIQuants(
  type: i32,
  m: Matrix,
  rows: i32,
  columns: i32,
  tokens: i32,
  x: Inputs,
  out: usize,
  stride: i32,
  tiled: bool,
): bool {
  if (type == 16) Matmul.run<IQ2_XXS>(m, rows, columns, tokens, x, out, stride, tiled);
  else if (type == 17) Matmul.run<IQ2_XS>(m, rows, columns, tokens, x, out, stride, tiled);
  else if (type == 18) Matmul.run<IQ3_XXS>(m, rows, columns, tokens, x, out, stride, tiled);
  else if (type == 19) Matmul.run<IQ1_S>(m, rows, columns, tokens, x, out, stride, tiled);
  else if (type == 21) Matmul.run<IQ3_S>(m, rows, columns, tokens, x, out, stride, tiled);
  else if (type == 22) Matmul.run<IQ2_S>(m, rows, columns, tokens, x, out, stride, tiled);
  else if (type == 23) Matmul.run<IQ4_XS>(m, rows, columns, tokens, x, out, stride, tiled);
  else if (type == 29) Matmul.run<IQ1_M>(m, rows, columns, tokens, x, out, stride, tiled);
  else return false;
  return true;
}

/** See `Plain.matmul`. Returns false for a type that has no kernel here. */
export function matmulPlain(
  type: i32,
  weights: usize,
  rows: i32,
  columns: i32,
  tokens: i32,
  x: usize,
  out: usize,
  stride: i32,
): bool {
  if (type == 0) Plain.matmul<F32>(weights, rows, columns, tokens, x, out, stride);
  else if (type == 1) Plain.matmul<F16>(weights, rows, columns, tokens, x, out, stride);
  else if (type == 30) Plain.matmul<BF16>(weights, rows, columns, tokens, x, out, stride);
  else return false;
  return true;
}

/** See `Attention.run`. */
export function attention(
  q: usize,
  keys: usize,
  values: usize,
  positions: i32,
  stride: i32,
  group: i32,
  headDim: i32,
  scores: usize,
  out: usize,
): void {
  Attention.run(q, keys, values, positions, stride, group, headDim, scores, out);
}

/** See `Vector.rmsNorm`. */
export function rmsNorm(x: usize, weight: usize, length: i32, tokens: i32, epsilon: f32, out: usize): void {
  Vector.rmsNorm(x, weight, length, tokens, epsilon, out);
}

/** See `Vector.quantize`. */
export function quantize(x: usize, length: i32, inputs: Inputs): void {
  Vector.quantize(x, length, inputs);
}

/** See `Vector.remainder`. */
export function remainder(x: usize, length: i32, inputs: Inputs): void {
  Vector.remainder(x, length, inputs);
}

/** See `Vector.rope`. */
export function rope(x: usize, heads: i32, headDim: i32, ropeDim: i32, table: usize): void {
  Vector.rope(x, heads, headDim, ropeDim, table);
}

/** See `Vector.toHalves`. */
export function toHalves(x: usize, length: i32, out: usize): void {
  Vector.toHalves(x, length, out);
}

/** See `Vector.swiglu`. */
export function swiglu(gate: usize, up: usize, length: i32): void {
  Vector.swiglu(gate, up, length);
}

/** See `Vector.addScaled`. */
export function addScaled(sum: usize, x: usize, factor: f32, length: i32): void {
  Vector.addScaled(sum, x, factor, length);
}

/** See `Sampler.adjust`. */
export function sampleAdjust(state: SamplerState): u32 {
  return Sampler.adjust(state);
}

/** See `Sampler.rawSum`. */
export function sampleRawSum(state: SamplerState): f64 {
  return Sampler.rawSum(state);
}

/** See `Sampler.top`. */
export function sampleTop(state: SamplerState, count: i32): void {
  Sampler.top(state, count);
}

/** See `Sampler.weigh`. */
export function sampleWeigh(state: SamplerState, temperature: f32): void {
  Sampler.weigh(state, temperature);
}

/** See `Sampler.cut`. */
export function sampleCut(state: SamplerState, weighted: bool, goal: f64): void {
  Sampler.cut(state, weighted, goal);
}

/** See `Sampler.cutBelow`. */
export function sampleCutBelow(state: SamplerState, difference: f32): void {
  Sampler.cutBelow(state, difference);
}

/** See `Sampler.draw`. */
export function sampleDraw(state: SamplerState, share: f64): u32 {
  return Sampler.draw(state, share);
}
