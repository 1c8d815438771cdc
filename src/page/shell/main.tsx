import { render } from 'preact';
import { App } from './App.tsx';
import { isInForeignFrame, showLinkToApp } from './foreign-frame.ts';
import { watchUpdates } from './page-update.ts';
import { start } from './start.ts';
import '../../ui/css/base.css';
import '../../ui/css/layout.css';
import '../../ui/css/sidebar.css';
import '../../ui/css/library.css';
import '../../ui/css/chat.css';
import '../../ui/css/prose.css';
import '../../ui/css/print.css';

const root = document.getElementById('app');
if (root && isInForeignFrame()) {
  showLinkToApp(root);
} else {
  const registerServiceWorker = watchUpdates();
  const started = start();
  if (root) render(<App />, root);
  // The service worker fetches all files of the page, which would delay the first answer.
  void started.finally(registerServiceWorker);
}
