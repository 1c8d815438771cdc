/**
 * Estimates whether a model fits on a device, and an upper bound of its speed: a token takes at least as long as
 * reading the bytes that it needs. docs/import.md explains the rates. Pure functions.
 */

import type { Bytes } from '../../contract/ids.ts';
import type { ModelConfig, ModelFigures } from '../../contract/import-api.ts';

/** Memory and rates of a device. Rates are in bytes per second. */
export interface DeviceFigures {
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

/** The part of a model's shape that its speed depends on. */
export type SpeedShape = Pick<
  ModelConfig,
  'layerCount' | 'kvHeadCount' | 'headDim' | 'embeddingLength' | 'expertCount' | 'expertsPerToken' | 'contextLength'
>;
/** The part of a model's figures that its speed depends on. */
export type SpeedFigures = Pick<ModelFigures, 'denseBytes' | 'expertBytes' | 'bytesPerToken'>;

/** Whether a model fits on a device, and how fast it can be there at most. */
export interface ExpectedSpeed {
  /**
   * `resident`: all experts fit on the GPU. `streams`: experts are loaded as they are needed. `too-large`: not even the
   * experts of one token in one layer fit.
   */
  fit: 'resident' | 'streams' | 'too-large';
  /** The least GPU memory with which the model runs. */
  leastGpuBytes: Bytes;
  /** GPU memory for the whole model. */
  residentGpuBytes: Bytes;
  /** Share of a layer's experts that have a slot, 0 .. 1. */
  residentShare: number;
  /** Share of a token's experts that are already on the GPU, 0 .. 1. */
  hitRate: number;
  /** Upper bound, with loading and computing overlapping perfectly. 0 if the model does not run. */
  tokensPerSecond: number;
  /** Which rate sets the bound. */
  boundBy: 'gpu' | 'ram' | 'store';
}

/** Hit rate of LRU with k of a layer's 8 experts on the GPU and 2 used per token, from the routing of Mixtral. */
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
  const { denseBytes, expertBytes, bytesPerToken } = figures;
  const fixed = denseBytes + contextBytes(config, Math.min(context, config.contextLength));
  // Layers share slots if there are not enough for a token's experts in every layer.
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
 * Rates to assume if none were measured on the device. Those of software adapters were measured (1 to 1.9 GB/s of
 * weights, 0.3 GB/s of uploads), and so was the store rate in Chromium. The other two hardware rates are assumptions at
 * the low end of discrete GPUs, so texts must name the rate that they rely on.
 */
export const ASSUMED_RATES = {
  software: { gpuRate: 1.5e9, ramRate: 0.3e9, storeRate: 0.3e9 },
  hardware: { gpuRate: 100e9, ramRate: 5e9, storeRate: 1.1e9 },
} as const;

/** GPU memory to assume before the engine has probed for it (workers/experts/automatic-budget.ts). */
export const ASSUMED_GPU_BYTES = { software: 2e9, hardware: 8e9 } as const;
