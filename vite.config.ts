import preact from '@preact/preset-vite';
import { defineConfig } from 'vite';
import { VitePWA } from 'vite-plugin-pwa';

export default defineConfig({
  // Relative: the page may be served from any folder.
  base: './',
  plugins: [
    preact(),
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
          { src: 'icon.svg', sizes: 'any', type: 'image/svg+xml', purpose: 'any' },
        ],
      },
      workbox: {
        // The shell only; weights go to IndexedDB, not to a cache.
        globPatterns: ['**/*.{js,css,html,svg,png,webmanifest}'],
        globIgnores: ['cli.html'],
        navigateFallbackDenylist: [/cli\.html$/, /\.gguf$/],
        navigateFallback: 'index.html',
      },
    }),
  ],
  worker: { format: 'es' },
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    // cli.html is the page that the command line drives.
    rollupOptions: { input: ['index.html', 'cli.html'] },
  },
});
