/**
 * The one place for the flags that every Chromium of this project gets: tests, command line, `npm start -- --open`.
 * Plain JavaScript without dependencies, because the scripts that use it run before node_modules exists.
 */
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { platform } from 'node:process';

/** Same behaviour on every machine, and no traffic that the page did not ask for. */
const COMMON_FLAGS = [
  // Without this flag WebGPU stays off where Chromium has the driver on its block list, or on Linux at all.
  '--enable-unsafe-webgpu',
  '--no-first-run',
  '--no-default-browser-check',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-quic',
];

/** WebGPU on SwiftShader, the software Vulkan that comes with Chromium. */
const SOFTWARE_ADAPTER_FLAGS = ['--use-webgpu-adapter=swiftshader'];

/** WebGPU on a real GPU where no display is connected; `disable-vulkan-surface` because there is nothing to show on. */
const HEADLESS_LINUX_GPU_FLAGS = [
  '--ignore-gpu-blocklist',
  '--use-angle=vulkan',
  '--enable-features=Vulkan',
  '--disable-vulkan-surface',
];

/** Chromium refuses to start its sandbox as root, which is what most CI machines run as. */
const ROOT_FLAGS = ['--no-sandbox'];

/** Device nodes of Linux drivers that Chromium could use: DRM (AMD, Intel, nouveau), NVIDIA, Windows' GPU in WSL. */
function linuxGpuNodes() {
  const drm = existsSync('/dev/dri') ? readdirSync('/dev/dri').filter((name) => name.startsWith('renderD')) : [];
  return [...drm.map((name) => `/dev/dri/${name}`), '/dev/nvidia0', '/dev/dxg'];
}

function isUsable(path) {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false; // not there, or not ours to open: the same for a browser
  }
}

/** Whether this machine has a GPU that a browser could use. `MIXTAB_GPU=software` or `hardware` overrides. */
export function hasGpu(env = process.env) {
  if (env.MIXTAB_GPU === 'software') return false;
  if (env.MIXTAB_GPU === 'hardware') return true;
  return platform !== 'linux' || linuxGpuNodes().some(isUsable);
}

/**
 * Command-line flags for Chromium.
 * @param {{ headless?: boolean, env?: NodeJS.ProcessEnv }} [options] `headless` (default true) only adds what a GPU
 *   without a display needs; the flag that hides the window is the launcher's. `MIXTAB_CHROMIUM_FLAGS` (separated by
 *   spaces) are added last, and Chromium takes the last of two contradicting flags.
 * @returns {string[]}
 */
export function chromiumFlags({ headless = true, env = process.env } = {}) {
  const flags = [...COMMON_FLAGS];
  if (!hasGpu(env)) flags.push(...SOFTWARE_ADAPTER_FLAGS);
  else if (headless && platform === 'linux') flags.push(...HEADLESS_LINUX_GPU_FLAGS);
  if (process.getuid?.() === 0) flags.push(...ROOT_FLAGS);
  return [...flags, ...(env.MIXTAB_CHROMIUM_FLAGS ?? '').split(/\s+/).filter(Boolean)];
}
