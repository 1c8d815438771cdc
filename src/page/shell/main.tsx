import { render } from 'preact';
import { App } from './App.tsx';
import { registerServiceWorker } from './page-update.ts';
import { start } from './start.ts';
import '../../ui/css/base.css';
import '../../ui/css/layout.css';
import '../../ui/css/chat.css';

const root = document.getElementById('app');
if (root) render(<App />, root);
void start();
registerServiceWorker();
