import { render } from 'preact';
import { App } from './app/App.tsx';
import { start } from './app/start.ts';
import { registerServiceWorker } from './pwa.ts';
import './ui/css/base.css';
import './ui/css/layout.css';
import './ui/css/chat.css';

const root = document.getElementById('app');
if (root) render(<App />, root);
void start();
registerServiceWorker();
