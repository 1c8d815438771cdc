/** The page that other pages embed: answers the one origin that its address names. */
import { createHost } from '../client/host.ts';
import { createLocal } from '../client/local.ts';
import { originFrom, PROTOCOL } from '../client/protocol.ts';
import { workerBackend } from '../client/worker-backend.ts';

const origin = originFrom(location.search);
const status = document.getElementById('status');

function say(text: string): void {
  if (status) status.textContent = text;
}

if (parent === window) {
  say('This page is made to be embedded in another one. The app itself is at the start page.');
} else if (!origin) {
  say('The embedding page must name its origin: embed.html?origin=https://…');
} else {
  say(`mixtab works here for ${origin}. Models that it imports are kept apart for that site by the browser.`);
  const receive = createHost(createLocal(workerBackend()), (reply) => parent.postMessage(reply, origin));
  addEventListener('message', ({ source, origin: from, data }) => {
    if (source === parent && from === origin) receive(data);
  });
  parent.postMessage({ mixtab: PROTOCOL, ready: true }, origin);
}
