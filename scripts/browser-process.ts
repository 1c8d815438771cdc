/** A headless Chromium as a process of its own, which can be killed. Playwright would end its own one in an orderly way. */
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Browser, type BrowserContext, chromium } from 'playwright';
import { ensureHeadlessChromium, findHeadlessChromium } from './chromium.mjs';
import { chromiumFlags } from './chromium-flags.mjs';

/** How long a browser may take to start or to end, in milliseconds. */
const PATIENCE_MS = 30_000;

/** A running browser. */
export interface BrowserProcess {
  browser: Browser;
  /** Its storage is in the profile, on the disk. */
  context: BrowserContext;
  /** Kills all its processes at once (SIGKILL), and waits until they are gone. */
  kill(): Promise<void>;
}

/** A Chromium on a busy machine sometimes starts and then answers nothing. */
const ATTEMPTS = 3;

/**
 * Starts a Chromium.
 * @param profile folder of its data, which stays when it ends
 * @param flags more command-line flags
 * @param path of the program. Default: a headless shell, or a whole Chromium if there is none
 */
export async function startBrowser(
  profile: string,
  flags: readonly string[] = [],
  path: string = findHeadlessChromium()?.path ?? ensureHeadlessChromium(),
): Promise<BrowserProcess> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(path, profile, flags);
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
    }
  }
}

async function startOnce(path: string, profile: string, flags: readonly string[]): Promise<BrowserProcess> {
  const child = spawn(
    path,
    [
      ...chromiumFlags(),
      '--headless',
      '--remote-debugging-port=0',
      '--window-size=1280,900',
      // As Playwright does: a window that nobody sees is not slowed down.
      '--disable-background-timer-throttling',
      '--disable-renderer-backgrounding',
      '--disable-backgrounding-occluded-windows',
      ...flags,
      `--user-data-dir=${profile}`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'], detached: true },
  );
  const killAll = (): void => void killGroup(child);
  process.on('exit', killAll);
  const kill = async (): Promise<void> => {
    process.off('exit', killAll);
    await killAndWait(child);
  };
  try {
    const browser = await chromium.connectOverCDP(await debuggingAddress(child), { timeout: PATIENCE_MS });
    const [context] = browser.contexts();
    // tsx wraps named functions, also those that run in the page, in calls of this function.
    await context.addInitScript('globalThis.__name ??= (named) => named;');
    return { browser, context, kill };
  } catch (error) {
    await kill();
    throw error;
  }
}

/** The address that Chromium prints when it is ready. */
function debuggingAddress(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = '';
    const fail = (): void => reject(new Error(`Chromium did not start. ${output.slice(-500)}`));
    const timer = setTimeout(fail, PATIENCE_MS);
    child.stderr?.on('data', (data: Buffer) => {
      if (output.length < 10_000) output += data.toString();
      const address = /DevTools listening on (ws:\S+)/.exec(output)?.[1];
      if (!address) return;
      clearTimeout(timer);
      resolve(address);
    });
    child.once('exit', fail);
    child.once('error', reject);
  });
}

/** @returns whether there was a process left */
function killGroup(child: ChildProcess): boolean {
  try {
    process.kill(-child.pid!, 'SIGKILL');
    return true;
  } catch {
    return false;
  }
}

async function killAndWait(child: ChildProcess): Promise<void> {
  const isRunning = child.exitCode === null && child.signalCode === null;
  const ended = isRunning ? new Promise<void>((resolve) => child.once('exit', () => resolve())) : undefined;
  killGroup(child);
  await ended;
  // The helpers end a little later than the browser, and hold files of the profile until then.
  for (let waited = 0; waited < 2000 && killGroup(child); waited += 20) await sleep(20);
}
