/** The worker of bench/checksum.ts. */
import { expose } from '../src/contract/rpc.ts';
import { checksumRates } from './checksum-rates.ts';

const api = { run: checksumRates };

export type ChecksumWorker = typeof api;
expose(api);
