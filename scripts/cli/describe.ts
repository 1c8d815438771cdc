/** The output of `inspect`. */
import { availableParallelism, totalmem } from 'node:os';
import { formatBytes } from '../../src/contract/format-bytes.ts';
import type { ModelInspection } from '../../src/contract/import-api.ts';
import {
  ASSUMED_CPU_RATES,
  ASSUMED_GPU_BYTES,
  ASSUMED_RATES,
  assumedCpuBytes,
  type DeviceFigures,
  type ExpectedSpeed,
} from '../../src/page/library/expected-speed.ts';
import { fitText } from '../../src/page/library/fit-text.ts';
import { formatCount } from '../../src/ui/format.ts';
import type { Options } from './options.ts';

/** Returns the device that the options describe, with assumed values for missing ones. */
export function deviceFigures(options: Options<'inspect'>): DeviceFigures {
  const bytesOr = (megabytes: number | undefined, otherwise: number): number =>
    megabytes === undefined ? otherwise : megabytes * 1e6;
  if (options.compute === 'cpu') {
    return {
      kind: 'cpu',
      ramBytes: bytesOr(options['ram-budget'], assumedCpuBytes(totalmem() / 2 ** 30)),
      threads: options.threads ?? availableParallelism(),
      flopsPerThread: ASSUMED_CPU_RATES.flopsPerThread,
      storeRate: bytesOr(options['store-rate'], ASSUMED_CPU_RATES.storeRate),
    };
  }
  const rates = ASSUMED_RATES.hardware;
  return {
    kind: 'gpu',
    gpuBytes: bytesOr(options['gpu-budget'], ASSUMED_GPU_BYTES.hardware),
    ramBytes: bytesOr(options['ram-budget'], 0),
    gpuRate: bytesOr(options['gpu-rate'], rates.gpuRate),
    ramRate: rates.ramRate,
    storeRate: bytesOr(options['store-rate'], rates.storeRate),
  };
}

/** Describes a model and its expected speed, one fact per line. */
export function describeModel(inspection: ModelInspection, device: DeviceFigures, expected: ExpectedSpeed): string {
  const { config, figures } = inspection;
  const percent = (share: number): string => `${Math.round(share * 100)} %`;
  const parts = figures.parts.map(({ part, parameters, bytes, types }) => {
    const shares = Object.entries(types).map(([type, share]) => (share > 0.995 ? type : `${type} ${percent(share)}`));
    return `  ${part.padEnd(10)} ${formatCount(parameters).padStart(8)}  ${formatBytes(bytes).padStart(8)}  ${shares.join(', ')}`;
  });
  return [
    inspection.name,
    `architecture ${inspection.architecture}, ${config.layerCount} layers, ${config.expertCount} experts, ${config.expertsPerToken} used, width ${config.embeddingLength}, experts ${config.feedForwardLength} wide`,
    `parameters ${formatCount(inspection.parameterCount)}, active ${formatCount(inspection.activeParameterCount)}, ${inspection.bitsPerWeight.toFixed(2)} bits per weight`,
    ...parts,
    `file ${formatBytes(inspection.fileBytes)}, ${formatBytes(figures.expertBytes)} per expert, ${formatBytes(figures.bytesPerToken)} read per token`,
    `context ${config.contextLength}${config.ropeScaling ? ` (${config.ropeScaling.type} rope scaling by ${config.ropeScaling.factor})` : ''}, vocabulary ${config.vocabularySize} (${inspection.tokenizer.model})`,
    `layout ${inspection.layout}, ${inspection.records.length} records, chat template: ${inspection.hasChatTemplate ? 'yes' : 'no'}, licence: ${inspection.license ?? 'not stated'}`,
    fitText(device, expected),
  ].join('\n');
}

/** The output of `inspect --json`. `expected` also has the names that two of its fields had before version 0.3. */
export function inspectionJson(inspection: ModelInspection, device: DeviceFigures, expected: ExpectedSpeed): object {
  const { leastBytes, residentBytes } = expected;
  return {
    ...inspection,
    device,
    expected: { ...expected, leastGpuBytes: leastBytes, residentGpuBytes: residentBytes },
  };
}
