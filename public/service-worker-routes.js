/**
 * Part of the service worker: tells the browser which requests it never answers, so that they reach the network without
 * it (https://w3c.github.io/ServiceWorker/#dom-installevent-addroutes). These are requests to other sites and for models.
 *
 * They are as fast as they can be that way. More important, they do not start an earlier version again that the browser
 * ends for a newer one. Chromium does start it for any request that arrives in that moment, and then replaces it only
 * after 30 seconds without a request, or after five minutes. An import asks for parts of a model all the time, so an
 * update that was accepted in another tab would wait that long.
 */
addEventListener('install', (event) => {
  if (!event.addRoutes) return; // an optimization that not every browser has
  const { protocol, hostname, port } = location;
  const site = { protocol: protocol.slice(0, -1), hostname, port };
  const routes = [
    { condition: { urlPattern: new URLPattern({ ...site, pathname: '*.gguf*' }) }, source: 'network' },
    { condition: { urlPattern: new URLPattern(site) }, source: 'fetch-event' },
    { condition: { urlPattern: new URLPattern({}) }, source: 'network' },
  ];
  // Without routes the service worker answers as it did before browsers had them.
  event.addRoutes(routes).catch(() => {});
});
