import { render } from 'preact';
import { App } from './app/App.tsx';
import { start } from './app/controller.ts';
import { registerServiceWorker } from './pwa.ts';
import './ui/style.css';

const root = document.getElementById('app');
if (root) render(<App />, root);
void start();
registerServiceWorker();
