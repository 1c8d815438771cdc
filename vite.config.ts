import { cpSync } from 'node:fs';
import preact from '@preact/preset-vite';
import { defineConfig, type Plugin } from 'vite';
import { VitePWA } from 'vite-plugin-pwa';
import { buildClientLibrary } from './scripts/client-library.mjs';
import { ensureKernels } from './scripts/kernels.mjs';

ensureKernels();

/**
 * Adds the client library and its examples to the build. A page of another origin needs the library to use embed.html.
 */
function clientLibrary(): Plugin {
  return {
    name: 'client-library',
    apply: 'build',
    async closeBundle() {
      cpSync('examples', 'dist/examples', { recursive: true });
      await buildClientLibrary('dist');
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
        // Only the app itself is cached. Weights are stored in IndexedDB.
        globPatterns: ['**/*.{js,css,html,svg,png,webmanifest}', 'assets/kernels-*.wasm'],
        globIgnores: ['cli.html', 'mixtab-client.js', 'examples/**'],
        navigateFallbackDenylist: [/(cli|embed)\.html$/, /mixtab-client\.js$/, /examples\//, /\.gguf$/],
        navigateFallback: 'index.html',
      },
    }),
  ],
  worker: {
    format: 'es',
    plugins: () => [entryPointsWithoutExports()],
    // Otherwise the chunk would be named after a module that does not exist in browsers.
    rollupOptions: { output: { manualChunks: (id) => (id.includes('web-xgrammar') ? 'grammar-library' : undefined) } },
  },
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    // The command line drives cli.html. Other pages embed embed.html.
    rollupOptions: { input: ['index.html', 'cli.html', 'embed.html'] },
  },
});
