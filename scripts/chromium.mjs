/**
 * Finds a Chromium, or installs the system's package. Plain JavaScript without dependencies, because it runs before
 * node_modules exists. `node scripts/chromium.mjs` prints the path.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync, statSync } from 'node:fs';
import { homedir, platform } from 'node:os';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { aptInstall, hasApt } from './apt.mjs';
import { hasGpu } from './chromium-flags.mjs';

/** Debian's /usr/bin/chromium is a script that adds its own flags. These are the programs that such scripts start. */
const BEHIND_WRAPPER = ['/usr/lib/chromium/chromium', '/opt/google/chrome/chrome'];
const COMMANDS = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome', 'microsoft-edge'];
/**
 * Chromium without its own user interface, as packaged by Debian. The engine is the same, but each window needs a
 * third of the time, because its toolbar is not a page in a process of its own.
 */
const HEADLESS_SHELLS = ['/usr/lib/chromium/chromium-headless-shell'];
const MAC_APPS = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
];
/** Paths of the program in Playwright's browser downloads, for each system. */
const PLAYWRIGHT_PROGRAMS = [
  'chrome-linux64/chrome',
  'chrome-linux/chrome',
  'chrome-mac-arm64/Google Chrome for Testing.app/Contents/MacOS/Google Chrome for Testing',
  'chrome-mac/Chromium.app/Contents/MacOS/Chromium',
  'chrome-win64/chrome.exe',
  'chrome-win/chrome.exe',
];
const PLAYWRIGHT_SHELLS = ['linux64', 'mac-arm64', 'mac-x64', 'win64']
  .map((system) => `chrome-headless-shell-${system}/chrome-headless-shell${system === 'win64' ? '.exe' : ''}`)
  .concat('chrome-linux/headless_shell');

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** The newest of the browsers of a kind that `playwright install chromium` has installed. */
function playwrightDownload(kind, programs, env) {
  const caches = { darwin: 'Library/Caches', win32: 'AppData/Local' };
  const root = env.PLAYWRIGHT_BROWSERS_PATH || join(homedir(), caches[platform()] ?? '.cache', 'ms-playwright');
  if (!existsSync(root)) return undefined;
  const builds = readdirSync(root)
    .filter((name) => name.startsWith(`${kind}-`) && /-\d+$/.test(name))
    .sort((a, b) => Number(b.slice(kind.length + 1)) - Number(a.slice(kind.length + 1)));
  return builds.flatMap((build) => programs.map((program) => join(root, build, program))).find(isProgram);
}

function systemChromium(env) {
  const onPath = (env.PATH ?? '')
    .split(delimiter)
    .filter(Boolean)
    .flatMap((folder) => COMMANDS.map((name) => join(folder, name)));
  return [...BEHIND_WRAPPER, ...MAC_APPS, ...onPath].find(isProgram);
}

/** The first headless shell of Playwright's downloads, or else of the system. */
function headlessShell(env) {
  const own = playwrightDownload('chromium_headless_shell', PLAYWRIGHT_SHELLS, env);
  if (own) return { path: own, origin: "Playwright's own" };
  const system = HEADLESS_SHELLS.find(isProgram);
  return system ? { path: system, origin: "the system's" } : undefined;
}

/**
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {{ path: string, origin: string } | undefined} undefined if there is none
 * @throws if MIXTAB_CHROMIUM is not an executable file
 */
export function findChromium(env = process.env) {
  if (env.MIXTAB_CHROMIUM) {
    if (!isProgram(env.MIXTAB_CHROMIUM))
      throw new Error(
        `MIXTAB_CHROMIUM=${env.MIXTAB_CHROMIUM} is not an executable file. Set it to the path of a Chromium.`,
      );
    return { path: env.MIXTAB_CHROMIUM, origin: 'MIXTAB_CHROMIUM' };
  }
  const own = playwrightDownload('chromium', PLAYWRIGHT_PROGRAMS, env);
  if (own) return { path: own, origin: "Playwright's own" };
  const system = systemChromium(env);
  return system ? { path: system, origin: "the system's" } : undefined;
}

/**
 * Finds a Chromium for work without a window: a headless shell if there is one, or else any. With a GPU it is always a
 * whole Chromium, because the drivers' support in headless shells is not known.
 * @returns {ReturnType<typeof findChromium>}
 */
export function findHeadlessChromium(env = process.env) {
  if (env.MIXTAB_CHROMIUM || hasGpu(env)) return findChromium(env);
  return headlessShell(env) ?? findChromium(env);
}

/** Prints on stderr which Chromium is used. @returns {string} its path */
function announced(found) {
  if (!found) {
    throw new Error(
      'Found no Chromium. Install one (Debian: apt-get install chromium; elsewhere: npx playwright install chromium) ' +
        'or set MIXTAB_CHROMIUM to its path.',
    );
  }
  const { stdout } = spawnSync(found.path, ['--version'], { encoding: 'utf8', timeout: 20_000 });
  console.error(`Chromium: ${found.path} (${found.origin}${stdout?.trim() ? `, ${stdout.trim()}` : ''})`);
  return found.path;
}

/**
 * Finds a Chromium, or installs one, and prints on stderr which one it is.
 * @returns {string} path of the program
 */
export function ensureChromium(env = process.env) {
  if (!findChromium(env) && hasApt()) {
    console.error("Found no Chromium. Installing the system's package ...");
    aptInstall(['chromium']);
  }
  return announced(findChromium(env));
}

/**
 * As {@link ensureChromium}, for work without a window. If a headless shell cannot be installed, a whole Chromium is
 * used.
 * @returns {string} path of the program
 */
export function ensureHeadlessChromium(env = process.env) {
  if (!env.MIXTAB_CHROMIUM && !hasGpu(env) && !headlessShell(env) && hasApt()) {
    console.error("Found no headless Chromium. Installing the system's package ...");
    aptInstall(['chromium-headless-shell']);
  }
  const found = findHeadlessChromium(env);
  return found ? announced(found) : ensureChromium(env);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    console.log(ensureChromium());
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
