/** Builds the client library, src/client/mixtab.ts, as one file: beside the page, and for the npm package. */
import { join } from 'node:path';
import { build } from 'vite';
import { ROOT } from './dependencies.mjs';

export const CLIENT_FILE = 'mixtab-client.js';

/**
 * Builds the library separately from the page, because the page's build splits shared modules into files with changing
 * names.
 */
export async function buildClientLibrary(outDir) {
  await build({
    configFile: false,
    root: ROOT,
    logLevel: 'warn',
    publicDir: false,
    build: {
      outDir,
      emptyOutDir: false,
      target: 'es2022',
      lib: { entry: join(ROOT, 'src', 'client', 'mixtab.ts'), formats: ['es'], fileName: () => CLIENT_FILE },
    },
  });
}
