/** The order in which a running import stores records, decided over the channel that the engine uses. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { MemoryStore } from './memory-store.ts';
import { awaitRecord, IMPORT_LOCK, LikelyRecords, RecordRequests } from './record-requests.ts';

const open: { close(): void }[] = [];
afterEach(() => {
  for (const channel of open.splice(0)) channel.close();
  vi.unstubAllGlobals();
});

function openChannels() {
  const requests = new RecordRequests();
  const likelyRecords = new LikelyRecords('model');
  const channel = new BroadcastChannel('mixtab-records');
  open.push(requests, likelyRecords, channel);
  const want = (modelId: string, key: string) => channel.postMessage({ type: 'want', modelId, key });
  const unwant = (modelId: string, key: string) => channel.postMessage({ type: 'unwanted', modelId, key });
  return { requests, likelyRecords, want, unwant };
}

/**
 * Messages between channels arrive in a later turn. If this thread had to wait for a core, the time is over before its
 * event loop looks for messages, which it does between a timer and `setImmediate`.
 */
const delivered = () => new Promise((resolve) => setTimeout(() => setImmediate(resolve), 30));

describe('the next record', () => {
  it('is the oldest request, else the likeliest, else undefined', async () => {
    const { requests, likelyRecords, want } = openChannels();
    const remaining = new Set(['a', 'b', 'c', 'd']);
    expect(await requests.next('model', remaining)).toBeUndefined();
    likelyRecords.publish(['stored already', 'c', 'b']);
    await delivered();
    expect(await requests.next('model', remaining)).toBe('c');
    want('model', 'd');
    want('model', 'a');
    await delivered();
    expect(await requests.next('model', remaining)).toBe('d');
    requests.stored('model', 'd');
    remaining.delete('d');
    expect(await requests.next('model', remaining)).toBe('a');
    requests.stored('model', 'a');
    remaining.delete('a');
    expect(await requests.next('model', remaining)).toBe('c');
    likelyRecords.publish(['b', 'c']);
    await delivered();
    expect(await requests.next('model', remaining)).toBe('b');
  });

  it('is not a withdrawn request', async () => {
    const { requests, want, unwant } = openChannels();
    const remaining = new Set(['a', 'b']);
    want('model', 'a');
    want('model', 'b');
    await delivered();
    unwant('model', 'a');
    unwant('other', 'b');
    await delivered();
    expect(await requests.next('model', remaining)).toBe('b');
  });

  it('is not a request or a likely record of another model', async () => {
    const { requests, likelyRecords, want } = openChannels();
    likelyRecords.publish(['b']);
    want('other', 'a');
    await delivered();
    expect(await requests.next('third', new Set(['a', 'b']))).toBeUndefined();
  });
});

describe('waiting for a record that is still to be imported', () => {
  it('ends when it is cancelled, and withdraws the request', async () => {
    vi.stubGlobal('navigator', { locks: { query: async () => ({ held: [{ name: IMPORT_LOCK }] }) } });
    const { requests } = openChannels();
    const remaining = new Set(['a']);
    const controller = new AbortController();
    const waiting = awaitRecord(new MemoryStore(), 'model', 'a', controller.signal);
    await delivered();
    expect(await requests.next('model', remaining)).toBe('a');
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'aborted' });
    await delivered();
    expect(await requests.next('model', remaining)).toBeUndefined();
  });
});
