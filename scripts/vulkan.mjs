/**
 * Finds a software driver for Vulkan, for tests of Dawn in Node: SwiftShader, which comes with every Chromium. Mesa's
 * lavapipe does as well if it is new enough (Debian 12's is not). Plain JavaScript, like chromium.mjs.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { aptInstall, hasApt } from './apt.mjs';
import { findHeadlessChromium } from './chromium.mjs';

const MANIFEST = 'vk_swiftshader_icd.json';

/** Whether the loader is installed, through which programs find Vulkan's drivers. */
function hasLoader() {
  const { stdout } = spawnSync('ldconfig', ['-p'], { encoding: 'utf8' });
  return (stdout ?? '').includes('libvulkan.so.1');
}

/** Installs the Vulkan loader if this is Linux and it is missing. @returns {boolean} whether it is there */
export function ensureVulkanLoader() {
  if (process.platform !== 'linux' || hasLoader()) return true;
  if (!hasApt()) return false;
  console.error("The Vulkan loader is missing. Installing the system's package libvulkan1 ...");
  return aptInstall(['libvulkan1']) && hasLoader();
}

/**
 * The environment in which programs use SwiftShader.
 * @returns {Record<string, string>}
 * @throws if there is none, saying how to get one
 */
export function softwareVulkan(env = process.env) {
  const chromium = findHeadlessChromium(env);
  const manifest = chromium && join(dirname(chromium.path), MANIFEST);
  if (!manifest || !existsSync(manifest)) {
    throw new Error(
      `No software driver for Vulkan: ${manifest ?? 'there is no Chromium, which'} ${manifest ? 'is missing' : 'includes one'}. ` +
        'Install one with `npx playwright install chromium`.',
    );
  }
  if (!hasLoader()) throw new Error('The Vulkan loader libvulkan.so.1 is missing: apt-get install libvulkan1.');
  return { VK_DRIVER_FILES: manifest, VK_ICD_FILENAMES: manifest };
}
