/**
 * Finds the browsers beside Chromium that the journeys of e2e/other-browsers run in, or installs the system's packages:
 * Firefox, and WebKitGTK with its driver. Plain JavaScript without dependencies, like chromium.mjs.
 * `node scripts/other-browsers.mjs` prints what is there.
 */
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { aptInstall, hasApt } from './apt.mjs';
import { hasGpu } from './chromium-flags.mjs';

const FIREFOX_COMMANDS = ['firefox-esr', 'firefox'];
const FIREFOX_MAC_APP = '/Applications/Firefox.app/Contents/MacOS/firefox';
/** Folders of WebKitGTK's small browser: Debian's (one folder per architecture) and Fedora's. */
const WEBKIT_PARENTS = ['/usr/lib', '/usr/libexec', '/usr/lib64'];
const VULKAN_DRIVERS = '/usr/share/vulkan/icd.d';

/** The value of MIXTAB_FIREFOX and MIXTAB_WEBKIT that leaves a browser out. */
const LEAVE_OUT = 'none';

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const entries = (folder) => (existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : []);

/** The first of some commands that is on the PATH. */
function onPath(names, env) {
  const folders = (env.PATH ?? '').split(delimiter).filter(Boolean);
  return folders.flatMap((folder) => names.map((name) => join(folder, name))).find(isProgram);
}

/** Mesa's Vulkan driver that computes on the CPU; undefined if it is not installed. */
function findLavapipe() {
  return entries(VULKAN_DRIVERS).find((path) => /lvp_icd.*\.json$/.test(path));
}

/**
 * @typedef {object} Firefox
 * @property {string} path
 * @property {string | undefined} vulkanDriver the software driver to use for WebGPU; undefined to use the machine's GPU
 * @property {boolean} webgpu whether the machine has what WebGPU needs: a GPU or the software driver
 */

/** @returns {Firefox | undefined} */
export function findFirefox(env = process.env) {
  const chosen = env.MIXTAB_FIREFOX;
  const path = chosen || onPath(FIREFOX_COMMANDS, env) || FIREFOX_MAC_APP;
  if (!isProgram(path)) return undefined;
  const vulkanDriver = hasGpu(env) ? undefined : findLavapipe();
  return { path, vulkanDriver, webgpu: hasGpu(env) || vulkanDriver !== undefined };
}

/**
 * @typedef {object} WebKit
 * @property {string} driver WebKitWebDriver
 * @property {string} browser MiniBrowser, the small browser that comes with the library
 * @property {string} display Xvfb, a display without a screen
 */

/** @returns {WebKit | undefined} undefined unless all three programs are there */
export function findWebKit(env = process.env) {
  const folders = WEBKIT_PARENTS.flatMap((parent) => [parent, ...entries(parent).filter((p) => /-linux-gnu/.test(p))]);
  const browsers = folders
    .flatMap(entries)
    .filter((path) => /\/webkit2?gtk-\d[\d.]*$/.test(path))
    .sort()
    .reverse()
    .map((folder) => join(folder, 'MiniBrowser'));
  const browser = env.MIXTAB_WEBKIT || browsers.find(isProgram);
  const driver = onPath(['WebKitWebDriver'], env);
  const display = onPath(['Xvfb'], env);
  return browser && isProgram(browser) && driver && display ? { driver, browser, display } : undefined;
}

/** Each browser with Debian's packages for it, the variable that chooses it, and how to tell that nothing is missing. */
const BROWSERS = [
  {
    name: 'Firefox',
    variable: 'MIXTAB_FIREFOX',
    packages: ['firefox-esr', 'mesa-vulkan-drivers'],
    isComplete: (env) => findFirefox(env)?.webgpu === true,
  },
  {
    name: 'WebKitGTK',
    variable: 'MIXTAB_WEBKIT',
    packages: ['webkit2gtk-driver', 'xvfb'],
    isComplete: (env) => findWebKit(env) !== undefined,
  },
];

/** Ubuntu has no package `firefox-esr`. Only what is missing is installed. */
function missingPackages(packages, env) {
  return packages.filter((name) => name !== 'firefox-esr' || !findFirefox(env));
}

/**
 * Finds the browsers or installs them, and prints on stderr what is missing.
 * @returns {{ name: string, reason: string, failed: boolean }[]} the browsers that are missing. `failed` if this machine
 *   should have been able to install it; false if it was left out by its variable, or there is no apt
 */
export function ensureOtherBrowsers(env = process.env) {
  const missing = [];
  for (const { name, variable, packages, isComplete } of BROWSERS) {
    if (isComplete(env)) continue;
    let reason;
    let failed = false;
    if (env[variable] === LEAVE_OUT) reason = `${variable} is ${LEAVE_OUT}`;
    else if (!hasApt()) reason = 'it is installed automatically only on Debian and its derivatives';
    else {
      console.error(`${name} is not complete. Installing the system's packages ...`);
      if (aptInstall(missingPackages(packages, env)) && isComplete(env)) continue;
      failed = true;
      reason = `installing ${packages.join(', ')} failed. Install them, or set ${variable} to ${LEAVE_OUT}`;
    }
    console.error(`${name}: missing, because ${reason}.`);
    missing.push({ name, reason, failed });
  }
  return missing;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const missing = ensureOtherBrowsers();
  console.log(JSON.stringify({ firefox: findFirefox(), webkit: findWebKit() }, null, 2));
  process.exitCode = missing.some(({ failed }) => failed) ? 1 : 0;
}
