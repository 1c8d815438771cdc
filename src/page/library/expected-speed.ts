/**
 * Whether a model fits a device, and how fast it can be at most. Pure: what bounds a token is the bytes it has to read.
 * docs/import.md tells where the rates come from.
 */

import type { Bytes } from '../../contract/ids.ts';
import type { ModelConfig, ModelFigures } from '../../contract/import-api.ts';

/** What a device has; rates in bytes a second. */
export interface DeviceFigures {
  /** GPU memory for everything. */
  gpuBytes: Bytes;
  /** Main memory for experts without a slot. */
  ramBytes: Bytes;
  /** At which kernels read weights. */
  gpuRate: number;
  /** From main memory to the GPU. */
  ramRate: number;
  /** From the store to the GPU. */
  storeRate: number;
}

/** Of a model's shape and figures, what its speed depends on. */
export type SpeedShape = Pick<
  ModelConfig,
  'layerCount' | 'kvHeadCount' | 'headDim' | 'embeddingLength' | 'expertCount' | 'expertsPerToken' | 'contextLength'
>;
export type SpeedFigures = Pick<ModelFigures, 'denseBytes' | 'expertBytes' | 'bytesPerToken'>;

export interface ExpectedSpeed {
  /** `resident`: all experts on the GPU. `streams`: experts come and go. `too-large`: not even one layer's experts for a token fit. */
  fit: 'resident' | 'streams' | 'too-large';
  /** GPU memory below which the model does not run. */
  leastGpuBytes: Bytes;
  /** GPU memory for all of it. */
  residentGpuBytes: Bytes;
  /** Share of a layer's experts that have a slot, 0 .. 1. */
  residentShare: number;
  /** Share of a token's experts that are found on the GPU. */
  hitRate: number;
  /** An upper bound: loading and computing overlap perfectly. 0 where it does not run. */
  tokensPerSecond: number;
  /** What that bound is set by. */
  boundBy: 'gpu' | 'ram' | 'store';
}

/** Hit rate of LRU by the share of a layer's experts that are held: Mixtral's routing, k of 8 experts, 2 used. */
const HIT_RATES = [0, 0.15, 0.31, 0.43, 0.55, 0.66, 0.77, 0.89, 1];

/** Between the points linear: slots are dealt out so that layers differ by one; below 2 of 8 some layers keep their 2, others share. */
export function hitRate(share: number): number {
  const at = Math.min(1, Math.max(0, share)) * (HIT_RATES.length - 1);
  const below = Math.floor(at);
  const above = HIT_RATES[below + 1] ?? 1;
  return HIT_RATES[below] + (at - below) * (above - HIT_RATES[below]);
}

/** Bytes of keys and values (f16) and of a prompt's rows (two of f32, docs/streaming.md) for `context` positions. */
const contextBytes = ({ layerCount, kvHeadCount, headDim, embeddingLength }: SpeedShape, context: number): Bytes =>
  (4 * layerCount * kvHeadCount * headDim + 8 * embeddingLength) * context;

/**
 * @param context positions of the KV cache
 */
export function expectSpeed(
  figures: SpeedFigures,
  config: SpeedShape,
  device: DeviceFigures,
  context = 4096,
): ExpectedSpeed {
  const { layerCount, expertCount, expertsPerToken } = config;
  const { denseBytes, expertBytes, bytesPerToken } = figures;
  const fixed = denseBytes + contextBytes(config, Math.min(context, config.contextLength));
  // With less than a token's experts for every layer, layers share slots.
  const leastGpuBytes = fixed + expertsPerToken * expertBytes;
  const residentGpuBytes = fixed + layerCount * expertCount * expertBytes;
  const share = (bytes: Bytes): number => Math.min(1, Math.max(0, bytes) / (layerCount * expertCount * expertBytes));
  const residentShare = share(device.gpuBytes - fixed);
  const onGpu = hitRate(residentShare);
  const onGpuOrRam = hitRate(Math.min(1, residentShare + share(device.ramBytes)));
  const perToken = layerCount * expertsPerToken * expertBytes;
  const seconds = {
    gpu: bytesPerToken / device.gpuRate,
    ram: (perToken * (onGpuOrRam - onGpu)) / device.ramRate,
    store: (perToken * (1 - onGpuOrRam)) / device.storeRate,
  };
  const loading = seconds.ram + seconds.store;
  const runs = device.gpuBytes >= leastGpuBytes;
  return {
    fit: !runs ? 'too-large' : residentShare === 1 ? 'resident' : 'streams',
    leastGpuBytes,
    residentGpuBytes,
    residentShare,
    hitRate: onGpu,
    tokensPerSecond: runs ? 1 / Math.max(seconds.gpu, loading) : 0,
    boundBy: seconds.gpu >= loading ? 'gpu' : seconds.store >= seconds.ram ? 'store' : 'ram',
  };
}

/**
 * Rates where none were measured on the device itself. Software adapters: measured here (docs/kernels-measured.md:
 * 1-1.9 GB/s of weights; uploads 0.3 GB/s). Hardware: the store as measured here in Chromium; the other two are
 * assumptions at the low end of discrete GPUs, and whoever shows the result says so.
 */
export const ASSUMED_RATES = {
  software: { gpuRate: 1.5e9, ramRate: 0.3e9, storeRate: 0.3e9 },
  hardware: { gpuRate: 100e9, ramRate: 5e9, storeRate: 1.1e9 },
} as const;

/** GPU memory, before the engine has probed for it (workers/experts/automatic-budget.ts). */
export const ASSUMED_GPU_BYTES = { software: 2e9, hardware: 8e9 } as const;
