/** The page's services, connected to its two workers. Features import this object. */
import { createServices } from './create.ts';
import { engine, importer, restartEngine } from './workers.ts';

export const services = createServices({ engine, importer, restartEngine });
