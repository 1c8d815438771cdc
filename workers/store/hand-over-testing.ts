/** Two ends of a way for hand-overs in one thread, for tests. */
import { type HandOverEnd, handOverEnd } from '../../src/contract/hand-over.ts';

/** The scope of a worker. What it posts is copied or transferred, and arrives at the other one later, in order. */
class FakeScope extends EventTarget {
  other: FakeScope | undefined;

  postMessage(message: unknown, transfer: Transferable[] = []): void {
    const data = structuredClone(message, { transfer: transfer as never[] });
    queueMicrotask(() => this.other?.receive(data));
  }

  receive(data: unknown): void {
    this.dispatchEvent(new MessageEvent('message', { data }));
  }
}

export interface ConnectedEnds {
  importer: HandOverEnd;
  engine: HandOverEnd;
  /** Both learn that the other one has been replaced. */
  replace(): void;
  /** No message of the import worker arrives any more. */
  silence(): void;
}

/** The ends of an import worker and an engine that a window has connected. */
export function connectedEnds(): ConnectedEnds {
  const scopes = [new FakeScope(), new FakeScope()];
  const [importer, engine] = scopes.map((scope) => handOverEnd(scope));
  [scopes[0].other, scopes[1].other] = [scopes[1], scopes[0]];
  const replace = (): void => {
    for (const scope of scopes) scope.receive({ mixtabHandOver: null });
  };
  replace();
  const silence = (): void => {
    scopes[0].other = undefined;
  };
  return { importer, engine, replace, silence };
}
