/** A stock WebKitGTK in its own small browser on a display without a screen, driven over WebDriver. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Builder, Capabilities, Key, type WebDriver, type WebElement } from 'selenium-webdriver';
import type { WebKit } from '../../scripts/other-browsers.mjs';
import type { Tab, TabElement } from './tab.ts';

export async function startWebKit(programs: WebKit): Promise<Tab> {
  const home = mkdtempSync(join(tmpdir(), 'mixtab-webkit-'));
  const processes: ChildProcess[] = [];
  const stop = (): void => {
    for (const child of processes) killGroup(child);
    rmSync(home, { recursive: true, force: true });
  };
  process.once('exit', stop);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));
  try {
    const display = await startDisplay(programs.display, processes);
    const env = { ...process.env, DISPLAY: display, HOME: home, XDG_RUNTIME_DIR: home, NO_AT_BRIDGE: '1' };
    const address = await startDriver(programs.driver, env, processes);
    const driver = await new Builder()
      .usingServer(address)
      .withCapabilities(
        new Capabilities({
          browserName: 'MiniBrowser',
          'webkitgtk:browserOptions': { binary: programs.browser, args: ['--automation'] },
        }),
      )
      .build();
    await driver.manage().window().setRect({ x: 0, y: 0, width: 1280, height: 800 });
    const version = (await driver.getCapabilities()).getBrowserVersion();
    return tab(driver, `WebKitGTK ${version}`, stop);
  } catch (error) {
    stop();
    throw error;
  }
}

function tab(driver: WebDriver, browser: string, stop: () => void): Tab {
  return {
    browser,
    open: (url) => driver.get(url),
    reload: () => driver.navigate().refresh(),
    evaluate: (script, ...args) => driver.executeScript(script, ...args),
    runScript: (source) => driver.executeScript(source),
    query: async (script, ...args) => {
      const found = await driver.executeScript<WebElement | null>(script as never, ...args);
      return found ? element(driver, found) : undefined;
    },
    screenshot: async () => Buffer.from(await driver.takeScreenshot(), 'base64'),
    close: async () => {
      await driver.quit().catch(() => {}); // its processes end anyway
      stop();
    },
  };
}

function element(driver: WebDriver, found: WebElement): TabElement {
  return {
    click: () => found.click(),
    fill: async (text, leave) => {
      await driver.executeScript((field: HTMLInputElement) => field.select(), found);
      await found.sendKeys(text);
      if (leave) await driver.executeScript((field: HTMLInputElement) => field.blur(), found);
    },
    pressEnter: () => found.sendKeys(Key.ENTER),
    chooseFile: (path) => found.sendKeys(path),
  };
}

/** Starts a program as the leader of a process group, so that whatever it starts can be ended with it. */
function start(command: string, args: string[], env: NodeJS.ProcessEnv, extraPipe = false): ChildProcess {
  return spawn(command, args, {
    env,
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', ...(extraPipe ? (['pipe'] as const) : [])],
  });
}

function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid) process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended already.
  }
}

/** Starts Xvfb, which chooses a free display number and writes it to its pipe. */
async function startDisplay(program: string, processes: ChildProcess[]): Promise<string> {
  const args = ['-displayfd', '3', '-screen', '0', '1280x900x24', '-nolisten', 'tcp'];
  const child = start(program, args, process.env, true);
  processes.push(child);
  const failed = once(child, 'exit').then(([code]) => {
    throw new Error(`Xvfb ended with code ${code} before it had a display.`);
  });
  const [number] = await Promise.race([once(child.stdio[3]!, 'data'), failed]);
  return `:${String(number).trim()}`;
}

/** Starts WebKitWebDriver on a free port and waits until it answers. */
async function startDriver(program: string, env: NodeJS.ProcessEnv, processes: ChildProcess[]): Promise<string> {
  const address = `http://127.0.0.1:${await freePort()}`;
  const child = start(program, [`--port=${new URL(address).port}`], env);
  processes.push(child);
  for (let tries = 0; tries < 200 && child.exitCode === null; tries++) {
    if (
      await fetch(`${address}/status`).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      return address;
    await pause(50);
  }
  throw new Error(`WebKitWebDriver did not answer at ${address}.`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
