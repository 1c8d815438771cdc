/** What the browser says about the GPU. */
import { kernelsText, type Measurement } from '../measurement.ts';

/** Limits that decide how large a model and its kernels can be. */
const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxStorageBuffersPerShaderStage',
] as const;

/** Reports names, features, limits and the sizes of subgroups. */
export async function describeAdapter(measurement: Measurement): Promise<void> {
  const { device, gpu } = measurement;
  const { adapter } = gpu;
  const text = (name: string, value: string): void =>
    measurement.add({ name, value: value === '' ? 0 : 1, unit: '', text: value || 'unknown' });
  const named = [adapter.vendor, adapter.architecture, adapter.description].filter(Boolean).join(', ');
  text('adapter', `${named}${adapter.software ? ' (software)' : ''}`);
  text('features', [...device.features].sort().join(' '));
  const language = (navigator.gpu as Partial<GPU>).wgslLanguageFeatures;
  text('WGSL features', [...(language ?? [])].sort().join(' '));
  // Only browsers that know subgroups report their sizes.
  const info = device.adapterInfo as { subgroupMinSize?: number; subgroupMaxSize?: number } | undefined;
  if (info?.subgroupMaxSize) text('subgroup sizes', `${info.subgroupMinSize} to ${info.subgroupMaxSize}`);
  text('standard kernels', kernelsText(gpu.kernels));
  for (const limit of LIMITS) measurement.add({ name: limit, value: device.limits[limit], unit: '' });
}
