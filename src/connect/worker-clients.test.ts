import { afterEach, expect, it, vi } from 'vitest';
import type { HandOverMessage } from '../contract/hand-over.ts';
import type { PageFacts } from '../contract/page-facts.ts';
import { connectForHandOver, createEngineClient, createImportClient } from './worker-clients.ts';

afterEach(() => vi.unstubAllGlobals());

/** A worker that answers nothing. */
class SilentWorker extends EventTarget {
  static readonly all: SilentWorker[] = [];
  readonly messages: unknown[] = [];

  constructor() {
    super();
    SilentWorker.all.push(this);
  }

  postMessage(message: unknown): void {
    this.messages.push(message);
  }

  terminate(): void {}
}

function stubPage() {
  const stored = new Map<string, string>();
  vi.stubGlobal('localStorage', {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => void stored.set(key, value),
    removeItem: (key: string) => void stored.delete(key),
    key: (index: number) => [...stored.keys()][index],
    get length() {
      return stored.size;
    },
  });
  const document = Object.assign(new EventTarget(), { visibilityState: 'visible' });
  const window = new EventTarget();
  vi.stubGlobal('document', document);
  vi.stubGlobal('addEventListener', window.addEventListener.bind(window));
  vi.stubGlobal('navigator', { maxTouchPoints: 0 });
  vi.stubGlobal('Worker', SilentWorker);
  const show = (visibilityState: string): void => {
    document.visibilityState = visibilityState;
    document.dispatchEvent(new Event('visibilitychange'));
  };
  return { stored, window, show };
}

/** The facts among the messages to a worker, and what else it got, in their order. */
const factsOf = ({ messages }: SilentWorker): (PageFacts | undefined)[] =>
  messages.map((message) => (message as { mixtabPageFacts?: PageFacts }).mixtabPageFacts);

/** Calls the method without its callback, whose channel would stay open. Nothing answers. */
const load = (api: object): void => void (api as { load(request: object): Promise<unknown> }).load({}).catch(() => {});

it('tells a worker before each load which workers were closed by then', () => {
  const { stored } = stubPage();
  const { api, terminate } = createEngineClient();
  const worker = SilentWorker.all.at(-1)!;
  stored.set('mixtab-closed/other', '5');
  load(api);
  const [atStart, beforeLoad, call] = factsOf(worker);
  expect(atStart).toEqual({ maxTouchPoints: 0, workerId: expect.any(String), closings: {} });
  expect(beforeLoad).toEqual({ ...atStart, closings: { other: 5 } });
  expect([worker.messages.length, call]).toEqual([3, undefined]);
  terminate();
  expect([...stored.keys()]).toEqual(['mixtab-closed/other', `mixtab-closed/${atStart!.workerId}`]);
});

it('notes each worker that the page ends, closes or hides, but none of a page that is shown again', () => {
  const { stored, window, show } = stubPage();
  const { api, restart, terminate } = createEngineClient();
  const idOf = (): string => factsOf(SilentWorker.all.at(-1)!)[0]!.workerId;
  const first = idOf();
  show('hidden');
  expect([...stored.keys()]).toEqual([`mixtab-closed/${first}`]);
  show('visible');
  expect(stored.size).toBe(0);
  restart();
  load(api);
  const second = idOf();
  expect(second).not.toBe(first);
  expect([...stored.keys()]).toEqual([`mixtab-closed/${first}`]);
  window.dispatchEvent(new Event('pagehide'));
  expect([...stored.keys()]).toEqual([first, second].map((id) => `mixtab-closed/${id}`));
  show('hidden');
  restart();
  load(api);
  expect(stored.has(`mixtab-closed/${idOf()}`)).toBe(true); // browsers discard hidden tabs without an event
  terminate();
});

it('connects the import worker and the engine, and the one that replaces another', () => {
  stubPage();
  const [importClient, engineClient] = [createImportClient(), createEngineClient()];
  const [importer, engine] = SilentWorker.all.slice(-2);
  connectForHandOver(importClient, engineClient);
  const says = (worker: SilentWorker, content: string): boolean =>
    worker.dispatchEvent(new MessageEvent('message', { data: { mixtabHandOver: content, buffers: [] } }));
  const lastOf = ({ messages }: SilentWorker): unknown => (messages.at(-1) as HandOverMessage).mixtabHandOver;
  expect([importer, engine].map(lastOf)).toEqual([null, null]);
  says(engine, 'take');
  says(importer, 'offer');
  expect([importer, engine].map(lastOf)).toEqual(['take', 'offer']);

  engineClient.restart();
  load(engineClient.api);
  const next = SilentWorker.all.at(-1)!;
  expect(next.messages).toContainEqual({ mixtabHandOver: null });
  expect(lastOf(importer)).toBeNull();
  says(engine, 'sent before it was ended');
  expect(lastOf(importer)).toBeNull();
  says(importer, 'record');
  says(next, 'release');
  expect([lastOf(importer), lastOf(next), lastOf(engine)]).toEqual(['release', 'record', 'offer']);
  importClient.terminate();
  engineClient.terminate();
});
