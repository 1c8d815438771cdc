/** What a running Chromium takes: memory, threads, open files. Linux only. */
import { readdirSync, readFileSync } from 'node:fs';
import type { CDPSession, Page } from 'playwright';

/** One measurement of the browser and of its page. */
export interface Figures {
  /** Main memory by process, in MB: proportional set size without files. */
  gpuProcess: number;
  pageProcess: number;
  browserProcess: number;
  /** Objects of the page and its workers after a garbage collection, in MB, as the page itself measures it. */
  heap: number;
  /** Dedicated workers of the page, and workers that they have started. */
  workers: number;
  /** Threads and open files of these three processes. Chromium starts others now and then. */
  threads: number;
  files: number;
  /** DOM nodes and event listeners of the page. */
  nodes: number;
  listeners: number;
}

/** The flag with which a page can measure its memory at once. */
export const MEASURE_FLAG = '--enable-blink-features=ForceEagerMeasureMemory';

interface ProcessInfo {
  type: string;
  id: number;
}

/** Measures a page that has nothing to do. */
export async function measure(browser: CDPSession, pageSession: CDPSession, page: Page): Promise<Figures> {
  const bytes = await page.evaluate(async () => {
    const { measureUserAgentSpecificMemory } = performance as unknown as {
      measureUserAgentSpecificMemory?: () => Promise<{ bytes: number }>;
    };
    return (await measureUserAgentSpecificMemory?.call(performance))?.bytes ?? 0;
  });
  await pageSession.send('HeapProfiler.collectGarbage');
  const { nodes, jsEventListeners } = await pageSession.send('Memory.getDOMCounters');
  const { processInfo } = (await browser.send('SystemInfo.getProcessInfo')) as { processInfo: ProcessInfo[] };
  const ids = (type: string): number[] => processInfo.filter((info) => info.type === type).map(({ id }) => id);
  const workersOf = (id: number): number => threadNames(id).filter((name) => name.startsWith('DedicatedWorker')).length;
  // Chromium may keep a renderer in reserve.
  const pageId = ids('renderer').toSorted((a, b) => workersOf(b) - workersOf(a))[0];
  const all = [...ids('GPU'), pageId, ...ids('browser')];
  return {
    gpuProcess: megabytesOf(ids('GPU')),
    pageProcess: megabytesOf([pageId]),
    browserProcess: megabytesOf(ids('browser')),
    heap: bytes / 1e6,
    workers: workersOf(pageId),
    threads: sum(all.map((id) => threadNames(id).length)),
    files: sum(all.map((id) => entries(`/proc/${id}/fd`).length)),
    nodes,
    listeners: jsEventListeners,
  };
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** A process may end while it is read. */
function orEmpty<T>(read: () => T, empty: T): T {
  try {
    return read();
  } catch {
    return empty;
  }
}

const entries = (folder: string): string[] => orEmpty(() => readdirSync(folder), []);
const text = (path: string): string => orEmpty(() => readFileSync(path, 'utf8'), '');
const threadNames = (id: number): string[] =>
  entries(`/proc/${id}/task`).map((thread) => text(`/proc/${id}/task/${thread}/comm`).trim());

/** Without the pages of files, which count less while another Chromium runs that shares them. */
const megabytesOf = (ids: readonly number[]): number => sum(ids.map(memoryOf)) / 1e6;

function memoryOf(id: number): number {
  const smaps = text(`/proc/${id}/smaps_rollup`);
  const bytes = (field: string): number => 1024 * Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(smaps)?.[1] ?? 0);
  return bytes('Pss') - bytes('Pss_File');
}
