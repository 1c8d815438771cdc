/**
 * Shared by the benchmarks that run in a browser: serves the sources with Vite and opens a page of bench/ in Chromium.
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright';
import { createServer, type Plugin } from 'vite';
import { ensureHeadlessChromium } from '../scripts/chromium.mjs';
import { withProfile } from '../scripts/cli/profile.ts';
import { type Ranged, sendRange } from '../scripts/cli/server.ts';

/** Options of {@link withSources}. */
export interface SourceOptions {
  /** Default: any free port. A kept profile needs the same port each time, because its models belong to the origin. */
  port?: number;
  /** More resources by path, served in byte ranges. */
  ranged?: Record<string, Ranged>;
  /** Isolates the pages from other origins. Chromium requires it for threads that share memory. */
  isolated?: boolean;
  /** Packages that are no ES modules, or share one: they are bundled before the page is opened. */
  dependencies?: string[];
}

const ISOLATION = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };

/** Serves the project's sources until `work` ends or throws. Prints on stderr which Chromium is used. */
export async function withSources<T>(
  { port, ranged = {}, isolated = false, dependencies = [] }: SourceOptions,
  work: (origin: string) => Promise<T>,
): Promise<T> {
  ensureHeadlessChromium();
  const server = await createServer({
    configFile: false,
    root: join(import.meta.dirname, '..'),
    logLevel: 'error',
    cacheDir: join(tmpdir(), 'mixtab-bench-vite'),
    plugins: [served(ranged)],
    // Discovering a dependency would reload the page during the measurement.
    optimizeDeps: { noDiscovery: true, include: dependencies },
    server: {
      port: port ?? 5198,
      strictPort: port !== undefined,
      hmr: false,
      watch: null,
      ...(isolated && { headers: ISOLATION }),
    },
  });
  try {
    await server.listen();
    return await work(server.resolvedUrls!.local[0].replace(/\/$/, ''));
  } finally {
    await server.close();
  }
}

const served = (ranged: Record<string, Ranged>): Plugin => ({
  name: 'ranged',
  configureServer({ middlewares }) {
    for (const [path, resource] of Object.entries(ranged))
      middlewares.use(path, (request, response) => sendRange(request, response, resource));
  },
});

/** The type of a page's `globalThis.bench`: functions whose arguments and results are plain data. */
type Functions<Bench> = { [Name in keyof Bench]: (...args: never[]) => unknown };

/** Calls a page's function from Node. */
export type Call<Bench extends Functions<Bench>> = <Name extends keyof Bench>(
  name: Name,
  ...args: Parameters<Bench[Name]>
) => Promise<Awaited<ReturnType<Bench[Name]>>>;

/** Opens `bench/<name>.html` of the sources at `origin`. */
export async function openBench<Bench extends Functions<Bench>>(
  page: Page,
  origin: string,
  name: string,
): Promise<Call<Bench>> {
  page.on('pageerror', (error) => console.error(error.message));
  await page.goto(`${origin}/bench/${name}.html`);
  await page.waitForFunction(() => 'bench' in globalThis);
  type Any = Record<PropertyKey, (...args: unknown[]) => unknown>;
  return (which, ...args) =>
    page.evaluate(
      ([method, parameters]) => (globalThis as unknown as { bench: Any }).bench[method](...parameters) as never,
      [which, args as unknown[]] as const,
    );
}

/** Options of {@link withBench}. */
export interface BenchOptions extends SourceOptions {
  /** Folder of a profile to keep. Default: a temporary one. */
  profile?: string;
}

/** Serves the sources and opens `bench/<name>.html` in a new browser. Closes both when `work` ends or throws. */
export function withBench<Bench extends Functions<Bench>>(
  name: string,
  options: BenchOptions,
  work: (call: Call<Bench>, origin: string, page: Page) => Promise<void>,
): Promise<void> {
  return withSources(options, (origin) =>
    withProfile(options.profile, async (page) => work(await openBench<Bench>(page, origin, name), origin, page)),
  );
}
