/** Entry point of the measuring worker. */
import { expose } from '../src/contract/rpc.ts';
import { announceWorker } from '../src/contract/worker-life.ts';
import { MeasureService } from './measure/measure-service.ts';

expose(new MeasureService());
announceWorker();
