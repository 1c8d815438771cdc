/** What the benchmarks in a browser share: the sources as they are, served by vite, and a page of bench/ open in a Chromium. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright';
import { createServer, type Plugin } from 'vite';
import { ensureChromium } from '../scripts/chromium.mjs';
import { withProfile } from '../scripts/cli/profile.ts';
import { type Ranged, sendRange } from '../scripts/cli/server.ts';

export interface SourceOptions {
  /** Without one, any free port; models in a profile that is kept belong to a port's origin. */
  port?: number;
  /** Resources by path, served by byte ranges beside the sources. */
  ranged?: Record<string, Ranged>;
}

/** Serves the project's sources while `work` runs, also where that throws; and says on stderr which Chromium there is. */
export async function withSources<T>(
  { port, ranged = {} }: SourceOptions,
  work: (origin: string) => Promise<T>,
): Promise<T> {
  ensureChromium();
  const server = await createServer({
    configFile: false,
    root: join(import.meta.dirname, '..'),
    logLevel: 'error',
    cacheDir: join(tmpdir(), 'mixtab-bench-vite'),
    plugins: [served(ranged)],
    // A dependency found on the way would reload the page under the measurement.
    optimizeDeps: { noDiscovery: true },
    server: { port: port ?? 5198, strictPort: port !== undefined, hmr: false, watch: null },
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

/** What a page puts on `globalThis.bench`: functions whose arguments and results are plain data. */
type Functions<Bench> = { [Name in keyof Bench]: (...args: never[]) => unknown };

/** A page's functions, called from outside. */
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

export interface BenchOptions extends SourceOptions {
  /** Folder of a profile to keep; without one a new one is made, and removed at the end. */
  profile?: string;
}

/** Serves the sources and opens `bench/<name>.html` in a browser of its own; all is closed after `work`, also where that throws. */
export function withBench<Bench extends Functions<Bench>>(
  name: string,
  options: BenchOptions,
  work: (call: Call<Bench>, origin: string) => Promise<void>,
): Promise<void> {
  return withSources(options, (origin) =>
    withProfile(options.profile, async (page) => work(await openBench<Bench>(page, origin, name), origin)),
  );
}
