/**
 * Estimates whether a model fits on a device, and an upper bound of its speed: a token takes at least as long as
 * computing it, and as loading the experts that it misses. docs/import.md explains the rates. Pure functions.
 */

import type { ComputeKind } from '../../contract/engine-api.ts';
import type { Bytes } from '../../contract/ids.ts';
import type { ModelConfig, ModelFigures } from '../../contract/import-api.ts';

/** Memory and rates of a device whose GPU computes. Rates are in bytes per second. */
export interface GpuFigures {
  kind: 'gpu';
  /** GPU memory for everything. */
  gpuBytes: Bytes;
  /** Main memory for experts without a slot. */
  ramBytes: Bytes;
  /** Rate at which kernels read weights. */
  gpuRate: number;
  /** Rate of copies from main memory to the GPU. */
  ramRate: number;
  /** Rate from the store to the GPU. */
  storeRate: number;
}

/** Memory and rates of a device whose CPU computes. */
export interface CpuFigures {
  kind: 'cpu';
  /** Main memory for everything. */
  ramBytes: Bytes;
  /** Workers that compute. */
  threads: number;
  /** Multiplications and additions per second of one thread. */
  flopsPerThread: number;
  /** Rate from the store to memory, in bytes per second. */
  storeRate: number;
}

/** Memory and rates of a device, by what computes. */
export type DeviceFigures = GpuFigures | CpuFigures;

/** The part of a model's shape that its speed depends on. */
export type SpeedShape = Pick<
  ModelConfig,
  'layerCount' | 'kvHeadCount' | 'headDim' | 'embeddingLength' | 'expertCount' | 'expertsPerToken' | 'contextLength'
>;
/** The part of a model's figures that its speed depends on. */
export type SpeedFigures = Pick<ModelFigures, 'denseBytes' | 'expertBytes' | 'bytesPerToken' | 'bitsPerWeight'>;

/** Whether a model fits on a device, and how fast it can be there at most. */
export interface ExpectedSpeed {
  /**
   * `resident`: all experts fit in the memory of what computes. `streams`: experts are loaded as they are needed.
   * `too-large`: not even the experts of one token in one layer fit.
   */
  fit: 'resident' | 'streams' | 'too-large';
  /** The least memory with which the model runs: of the GPU, or main memory if the CPU computes. */
  leastBytes: Bytes;
  /** Memory for the whole model. */
  residentBytes: Bytes;
  /** Share of a layer's experts that have a slot, 0 .. 1. */
  residentShare: number;
  /** Share of a token's experts that are already resident, 0 .. 1. */
  hitRate: number;
  /** Upper bound, with loading and computing overlapping perfectly. 0 if the model does not run. */
  tokensPerSecond: number;
  /** What sets the bound: computing, or loading experts from main memory or from the store. */
  boundBy: ComputeKind | 'ram' | 'store';
}

/** Hit rate of LRU with k of a layer's 8 experts resident and 2 used per token, from the routing of Mixtral. */
const HIT_RATES = [0, 0.15, 0.31, 0.43, 0.55, 0.66, 0.77, 0.89, 1];

/**
 * Hit rate for a share of resident experts, interpolated linearly: the slots per layer differ by at most one. Below 2
 * of 8, some layers keep 2 slots of their own and the others share.
 */
export function hitRate(share: number): number {
  const position = Math.min(1, Math.max(0, share)) * (HIT_RATES.length - 1);
  const below = Math.floor(position);
  const above = HIT_RATES[below + 1] ?? 1;
  return HIT_RATES[below] + (position - below) * (above - HIT_RATES[below]);
}

/**
 * What main memory adds to the hit rate, as a share of what as many slots more would add: it also holds some experts
 * that have a slot. Measured were 0.60 to 0.72 (docs/measurements/streaming.md, "Main memory behind the slots").
 */
const RAM_GAIN = 0.65;

/**
 * Share of a token's experts that need no read from the store: at least that of main memory alone.
 * @param slots share of the experts that have a slot
 * @param ram share of the experts that main memory has room for
 */
export function storeHitRate(slots: number, ram: number): number {
  const resident = hitRate(slots);
  return Math.max(hitRate(ram), resident + RAM_GAIN * (hitRate(slots + ram) - resident));
}

/** Bytes for `context` positions: keys and values (f16), and two f32 activations of a prompt (docs/streaming.md). */
const contextBytes = ({ layerCount, kvHeadCount, headDim, embeddingLength }: SpeedShape, context: number): Bytes =>
  (4 * layerCount * kvHeadCount * headDim + 8 * embeddingLength) * context;

/**
 * Estimates the speed of a model on a device.
 * @param context positions of the KV cache
 */
export function expectSpeed(
  figures: SpeedFigures,
  config: SpeedShape,
  device: DeviceFigures,
  context = 4096,
): ExpectedSpeed {
  const { layerCount, expertCount, expertsPerToken } = config;
  const { denseBytes, expertBytes } = figures;
  const fixed = denseBytes + contextBytes(config, Math.min(context, config.contextLength));
  // Layers share slots if there are not enough for a token's experts in every layer.
  const leastBytes = fixed + expertsPerToken * expertBytes;
  const residentBytes = fixed + layerCount * expertCount * expertBytes;
  const share = (bytes: Bytes): number => Math.min(1, Math.max(0, bytes) / (layerCount * expertCount * expertBytes));
  const memory = memoryOf(device);
  const residentShare = share(memory.modelBytes - fixed);
  const resident = hitRate(residentShare);
  const residentOrRam = storeHitRate(residentShare, share(memory.ramTierBytes));
  const perToken = layerCount * expertsPerToken * expertBytes;
  const computing = computeSeconds(figures, device);
  const fromRam = (perToken * (residentOrRam - resident)) / memory.ramTierRate;
  const fromStore = (perToken * (1 - residentOrRam)) / device.storeRate;
  const loading = fromRam + fromStore;
  const runs = memory.modelBytes >= leastBytes;
  return {
    fit: !runs ? 'too-large' : residentShare === 1 ? 'resident' : 'streams',
    leastBytes,
    residentBytes,
    residentShare,
    hitRate: resident,
    tokensPerSecond: runs ? 1 / Math.max(computing, loading) : 0,
    boundBy: computing >= loading ? device.kind : fromStore >= fromRam ? 'store' : 'ram',
  };
}

/** The memory of what computes, and main memory for evicted experts besides it. */
function memoryOf(device: DeviceFigures): { modelBytes: Bytes; ramTierBytes: Bytes; ramTierRate: number } {
  return device.kind === 'gpu'
    ? { modelBytes: device.gpuBytes, ramTierBytes: device.ramBytes, ramTierRate: device.ramRate }
    : { modelBytes: device.ramBytes, ramTierBytes: 0, ramTierRate: 1 };
}

/** Seconds to compute a token whose experts are resident: a GPU is bound by its memory, a CPU by its arithmetic. */
function computeSeconds({ bytesPerToken, bitsPerWeight }: SpeedFigures, device: DeviceFigures): number {
  if (device.kind === 'gpu') return bytesPerToken / device.gpuRate;
  const weights = (8 * bytesPerToken) / bitsPerWeight;
  return (2 * weights) / (device.threads * device.flopsPerThread);
}

/**
 * Rates to assume if none were measured on the device. Those of software adapters were measured (1 to 1.9 GB/s of
 * weights, 0.3 GB/s of uploads), and so was the store rate in Chromium. The other two hardware rates are assumptions at
 * the low end of discrete GPUs, so texts must name the rate that they rely on.
 */
export const ASSUMED_RATES = {
  software: { gpuRate: 1.5e9, ramRate: 0.3e9, storeRate: 0.3e9 },
  hardware: { gpuRate: 100e9, ramRate: 5e9, storeRate: 1.1e9 },
} as const;

/**
 * Rates to assume for the CPU. One thread multiplied a token with a matrix of 8x7B in Q4_K at 16 GFLOP/s in Node and at
 * 22 in a Chromium worker, both on the same server core. The store rate is that of IndexedDB in Chromium.
 */
export const ASSUMED_CPU_RATES = { flopsPerThread: 20e9, storeRate: 1.1e9 } as const;

/** GPU memory to assume before the engine has probed for it (workers/experts/automatic-budget.ts). */
export const ASSUMED_GPU_BYTES = { software: 2e9, hardware: 8e9 } as const;

/**
 * Main memory that the model gets on the CPU if the user has set no budget: half of it.
 * @param deviceMemory `navigator.deviceMemory` in GiB; 4 are assumed if the browser does not report it
 */
export const assumedCpuBytes = (deviceMemory: number | undefined): Bytes => ((deviceMemory ?? 4) * 2 ** 30) / 2;
