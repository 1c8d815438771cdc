import { cpSync } from 'node:fs';
import preact from '@preact/preset-vite';
import { defineConfig, type Plugin } from 'vite';
import { VitePWA } from 'vite-plugin-pwa';
import { buildClientLibrary } from './scripts/client-library.mjs';

/** The client library and the examples of its use: what a page of another origin needs to use embed.html. */
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

export default defineConfig({
  // Relative: the page may be served from any folder.
  base: './',
  plugins: [
    preact(),
    clientLibrary(),
    VitePWA({
      // The page asks before it changes under the user.
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
        // The shell only; weights go to IndexedDB, not to a cache.
        globPatterns: ['**/*.{js,css,html,svg,png,webmanifest}'],
        globIgnores: ['cli.html', 'mixtab-client.js', 'examples/**'],
        navigateFallbackDenylist: [/(cli|embed)\.html$/, /mixtab-client\.js$/, /examples\//, /\.gguf$/],
        navigateFallback: 'index.html',
      },
    }),
  ],
  worker: {
    format: 'es',
    // Named by what it is: the build would call it after a module that browsers do not have.
    rollupOptions: { output: { manualChunks: (id) => (id.includes('web-xgrammar') ? 'grammar-library' : undefined) } },
  },
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    // cli.html is the page that the command line drives, embed.html the one that other pages embed.
    rollupOptions: { input: ['index.html', 'cli.html', 'embed.html'] },
  },
});
