/**
 * The flags for every Chromium that this project starts: tests, command line, `npm start -- --open`. Plain JavaScript
 * without dependencies, because scripts use it before node_modules exists.
 */
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { platform } from 'node:process';

/** For the same behaviour on every machine, and no network traffic besides the page's own. */
const COMMON_FLAGS = [
  // Without it, WebGPU is off on Linux, and on other systems if the driver is on Chromium's blocklist.
  '--enable-unsafe-webgpu',
  '--no-first-run',
  '--no-default-browser-check',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-quic',
];

/**
 * WebGPU on SwiftShader, the software implementation of Vulkan that is part of Chromium. Dawn leaves it to Vulkan to set
 * workgroup memory to zero. SwiftShader compiles a store for each number of it, so kernels with much of it take four times
 * as long to compile as with a loop that Dawn writes itself.
 */
const SOFTWARE_ADAPTER_FLAGS = [
  '--use-webgpu-adapter=swiftshader',
  '--disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension',
];

/** WebGPU on a real GPU without a display. `disable-vulkan-surface`, because there is no surface to draw on. */
const HEADLESS_LINUX_GPU_FLAGS = [
  '--ignore-gpu-blocklist',
  '--use-angle=vulkan',
  '--enable-features=Vulkan',
  '--disable-vulkan-surface',
];

/** Chromium cannot sandbox itself as root, the user on most CI machines. */
const ROOT_FLAGS = ['--no-sandbox'];

/** Device nodes of Linux drivers that Chromium can use: DRM (AMD, Intel, nouveau), NVIDIA, the Windows GPU in WSL. */
function linuxGpuNodes() {
  const drm = existsSync('/dev/dri') ? readdirSync('/dev/dri').filter((name) => name.startsWith('renderD')) : [];
  return [...drm.map((name) => `/dev/dri/${name}`), '/dev/nvidia0', '/dev/dxg'];
}

function isUsable(path) {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false; // missing, or not accessible to this user and so not to a browser
  }
}

/**
 * Whether this machine has a GPU that a browser can use. `MIXTAB_GPU=software` or `hardware` overrides the detection.
 */
export function hasGpu(env = process.env) {
  if (env.MIXTAB_GPU === 'software') return false;
  if (env.MIXTAB_GPU === 'hardware') return true;
  return platform !== 'linux' || linuxGpuNodes().some(isUsable);
}

/**
 * Returns the command-line flags for Chromium.
 * @param {{ headless?: boolean, env?: NodeJS.ProcessEnv }} [options] `headless` (default true) adds the flags for a GPU
 *   without a display. It does not hide the window; the launcher does. Flags in `MIXTAB_CHROMIUM_FLAGS`, separated by
 *   spaces, come last, and Chromium uses the last of two conflicting flags.
 * @returns {string[]}
 */
export function chromiumFlags({ headless = true, env = process.env } = {}) {
  const flags = [...COMMON_FLAGS];
  if (!hasGpu(env)) flags.push(...SOFTWARE_ADAPTER_FLAGS);
  else if (headless && platform === 'linux') flags.push(...HEADLESS_LINUX_GPU_FLAGS);
  if (process.getuid?.() === 0) flags.push(...ROOT_FLAGS);
  return [...flags, ...(env.MIXTAB_CHROMIUM_FLAGS ?? '').split(/\s+/).filter(Boolean)];
}
