import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import preact from '@preact/preset-vite';
import { type Connect, defineConfig, type Plugin } from 'vite';
import { VitePWA } from 'vite-plugin-pwa';
import { buildClientLibrary } from './scripts/client-library.mjs';
import { ensureKernels } from './scripts/kernels.mjs';
import { responseHeaders, withMetaPolicy } from './scripts/response-headers.ts';

ensureKernels();

/**
 * The GGUF library takes an enumeration from `@huggingface/tasks`. Without this, Rollup keeps that package's description
 * of all tasks and libraries on the hub, 230 kB, because it cannot know that evaluating them has no effect.
 */
const treeshake = { moduleSideEffects: (id: string) => !id.includes('@huggingface/tasks') };

/**
 * Adds the client library and its examples to the build. A page of another origin needs the library to use embed.html.
 */
function clientLibrary(): Plugin {
  return {
    name: 'client-library',
    apply: 'build',
    async closeBundle() {
      mkdirSync('dist/examples', { recursive: true });
      for (const name of readdirSync('examples').filter((file) => file.endsWith('.html'))) {
        const path = `examples/${name}`;
        writeFileSync(`dist/${path}`, withMetaPolicy(path, readFileSync(path, 'utf8')));
      }
      await buildClientLibrary('dist');
    },
  };
}

/** Adds the security headers to what Vite serves, and writes the policy of each page into it. */
function walls(): Plugin {
  const addHeaders =
    (root: string, development: boolean): Connect.NextHandleFunction =>
    (request, response, next) => {
      const { pathname } = new URL(request.url ?? '/', 'http://localhost');
      const path = decodeURIComponent(pathname)
        .slice(1)
        .replace(/(^|\/)$/, '$1index.html');
      const file = join(root, path);
      const html = path.endsWith('.html') && existsSync(file) ? readFileSync(file, 'utf8') : undefined;
      const headers = responseHeaders({ path, development, ...(html !== undefined && { html }) });
      for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
      next();
    };
  return {
    name: 'walls',
    configureServer: ({ config, middlewares }) => void middlewares.use(addHeaders(config.root, true)),
    configurePreviewServer: ({ config, middlewares }) =>
      void middlewares.use(addHeaders(join(config.root, config.build.outDir), false)),
    transformIndexHtml: {
      order: 'post',
      // The development server sends a policy of its own.
      handler: (html, { path, server }) => (server ? html : withMetaPolicy(path.slice(1), html)),
    },
  };
}

/**
 * Moves the code that a worker's entry point shares with its chunks into a chunk of its own. WebKit evaluates an entry
 * point again if a chunk imports it, and the worker would then answer every call twice.
 */
function entryPointsWithoutExports(): Plugin {
  return {
    name: 'entry-points-without-exports',
    options: (options) => ({ ...options, preserveEntrySignatures: 'strict' }),
  };
}

export default defineConfig({
  // Relative, so that the page can be served from any folder.
  base: './',
  plugins: [
    preact(),
    clientLibrary(),
    walls(),
    VitePWA({
      // The page asks the user before it updates itself.
      registerType: 'prompt',
      injectRegister: null,
      includeAssets: ['icon.svg'],
      manifest: {
        name: 'mixtab',
        short_name: 'mixtab',
        description: 'Mixtral in a browser tab: private, offline, no server.',
        theme_color: '#14161c',
        background_color: '#14161c',
        display: 'standalone',
        start_url: './',
        icons: [
          { src: 'icon-192.png', sizes: '192x192', type: 'image/png' },
          { src: 'icon-512.png', sizes: '512x512', type: 'image/png' },
          { src: 'icon-maskable.png', sizes: '512x512', type: 'image/png', purpose: 'maskable' },
          { src: 'icon.svg', sizes: 'any', type: 'image/svg+xml', purpose: 'any' },
        ],
      },
      workbox: {
        // Responses that an older version cached lack headers that isolated pages require of their workers.
        cacheId: 'mixtab-2',
        // Only the app itself is cached. Weights are stored in IndexedDB.
        globPatterns: ['**/*.{js,css,html,svg,png,webmanifest}', 'assets/kernels-*.wasm'],
        globIgnores: ['assets/measure*.js', 'cli.html', 'mixtab-client.js', 'examples/**'],
        // Matched against path and query: a frame's address is embed.html?origin=...
        navigateFallbackDenylist: [/(cli|embed)\.html(\?|$)/, /mixtab-client\.js(\?|$)/, /examples\//, /\.gguf(\?|$)/],
        navigateFallback: 'index.html',
      },
    }),
  ],
  // The development server would find the packages of workers one by one, and reload the page for each of them.
  optimizeDeps: { entries: ['*.html', 'workers/*.worker.ts'] },
  worker: {
    format: 'es',
    plugins: () => [entryPointsWithoutExports()],
    // Otherwise the chunk would be named after a module that does not exist in browsers.
    rollupOptions: {
      treeshake,
      output: { manualChunks: (id) => (id.includes('web-xgrammar') ? 'grammar-library' : undefined) },
    },
  },
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    // The command line drives cli.html. Other pages embed embed.html.
    rollupOptions: { treeshake, input: ['index.html', 'cli.html', 'embed.html'] },
  },
});
