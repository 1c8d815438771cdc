/** A reader worker in the thread of a test. Its messages are cloned and transferred like those of a real one. */
import { expose } from '../../src/contract/rpc.ts';
import type { ReaderParts, ReaderService } from './reader-service.ts';

export class FakeReader extends EventTarget {
  readonly #ports: MessagePort[];
  terminated = false;

  /** @param create gets what sends messages between those of calls */
  constructor(create: (post: NonNullable<ReaderParts['post']>) => ReaderService) {
    super();
    const { port1, port2 } = new MessageChannel();
    this.#ports = [port1, port2];
    port1.onmessage = ({ data }: MessageEvent) => this.dispatchEvent(new MessageEvent('message', { data }));
    const service = create((message, transfer) => port2.postMessage(message, transfer as never));
    expose(service, port2);
    queueMicrotask(() => this.dispatchEvent(new MessageEvent('message', { data: { mixtabWorker: null } })));
  }

  postMessage(message: unknown, transfer: Transferable[] = []): void {
    this.#ports[0].postMessage(message, transfer as never);
  }

  terminate(): void {
    this.terminated = true;
    for (const port of this.#ports) port.close();
  }
}
