/** The page as a user finds it: by role and visible name, waiting until it is there. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setTimeout as pause } from 'node:timers/promises';
import type { ByRoleOptions, within } from '@testing-library/dom';
import { WAIT_MS } from '../../scripts/test-limits.mjs';
import type { Tab, TabElement } from './tab.ts';

/**
 * How long to wait for anything, which only ends what hangs: beside another layer, Firefox has taken five times as long
 * as alone to compile the kernels of a model.
 */
const TIMEOUT_MS = 2 * WAIT_MS;
/** How much of the page's text an error tells. */
const SHOWN = 600;
const INTERVAL_MS = 50;

/** Finds elements by role and name. It runs in the page. */
const FINDER = readFileSync(
  createRequire(import.meta.url)
    .resolve('@testing-library/dom')
    .replace(/index\.js$/, '@testing-library/dom.umd.min.js'),
  'utf8',
);

/** An element: its role, its accessible name or a part of it, and where several match, which one (-1 is the last). */
export interface Target {
  role: string;
  name: string;
  /** The name is only a part of the accessible name. */
  partly?: boolean;
  nth?: number;
}

type Finder = { within: typeof within };

/** Runs in the page. Elements that are disabled count as missing. */
function findInPage({ role, name, partly, nth }: Target): HTMLElement | null {
  const { TestingLibraryDom } = globalThis as unknown as { TestingLibraryDom: Finder };
  const options: ByRoleOptions = { name: partly ? (found) => found.includes(name) : name };
  const all = TestingLibraryDom.within(document.body).queryAllByRole(role, options);
  const found = all.at(nth ?? 0) ?? null;
  return (found as HTMLButtonElement | null)?.disabled ? null : found;
}

/** Runs in the page. The finder is lost with every load of the page. */
const hasFinder = (): boolean => 'TestingLibraryDom' in globalThis;

export class JourneyPage {
  constructor(readonly tab: Tab) {}

  /** Waits until an element is there and not disabled. */
  async find(target: Target): Promise<TabElement> {
    return this.waitFor(`the ${target.role} "${target.name}"`, async () => {
      await this.#loadFinder();
      return this.tab.query(findInPage, target);
    });
  }

  async click(role: string, name: string, more: Partial<Target> = {}): Promise<void> {
    await (await this.find({ role, name, ...more })).click();
  }

  async fill(role: string, name: string, text: string, leave = false): Promise<void> {
    await (await this.find({ role, name })).fill(text, leave);
  }

  /** @returns the visible text of the first element that a CSS selector finds; empty if there is none */
  text(selector: string): Promise<string> {
    return this.tab.evaluate((wanted) => document.querySelector<HTMLElement>(wanted)?.innerText.trim() ?? '', selector);
  }

  /** Waits until the text of an element passes a test. */
  async waitForText(selector: string, passes: (text: string) => boolean, what: string): Promise<string> {
    let text = '';
    await this.waitFor(what, async () => {
      text = await this.text(selector);
      return passes(text) || undefined;
    });
    return text;
  }

  /** Waits until a check returns a value. An error in the page, such as one while it loads, counts as none. */
  async waitFor<T>(what: string, check: () => Promise<T | undefined>): Promise<T> {
    const end = Date.now() + TIMEOUT_MS;
    let problem: unknown;
    while (Date.now() < end) {
      const value = await check().catch((error: unknown) => {
        problem = error;
        return undefined;
      });
      if (value !== undefined) return value;
      await pause(INTERVAL_MS);
    }
    const text = await this.#state().catch(() => 'nothing that can be read');
    throw new Error(`Waited ${TIMEOUT_MS / 1000} s for ${what}. The page shows: ${text}`, { cause: problem });
  }

  /** What the page says, on one line, because the summary of a run shows only the first lines of an error. */
  async #state(): Promise<string> {
    const parts = ['.model-button', '[role=alert]', '[role=status]', '[role=progressbar]', 'main'];
    const texts = await Promise.all(parts.map((selector) => this.text(selector)));
    return texts
      .filter(Boolean)
      .map((text) => text.replace(/\s+/g, ' ').slice(0, SHOWN))
      .join(' | ');
  }

  async #loadFinder(): Promise<void> {
    if (!(await this.tab.evaluate(hasFinder))) await this.tab.runScript(FINDER);
  }
}
