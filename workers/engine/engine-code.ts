/**
 * What the engine worker fetches when an engine is first needed. One module, so that the build makes one file of it: each
 * file costs a request, and each one that is imported by another one a step.
 */
export { HandOverReceiver } from '../store/hand-over.ts';
export { IndexedDbStore } from '../store/indexed-db-store.ts';
export { OpfsFiles } from '../store/opfs-files.ts';
export { createReaderWorker } from '../store/record-reader.ts';
export { prefetchCpu } from './compute-loader.ts';
export { Engine } from './engine.ts';
