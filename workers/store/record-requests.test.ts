/** In which order a running import is asked for records, over the channel that the engine uses. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { MemoryStore } from './memory-store.ts';
import { awaitRecord, IMPORT_LOCK, LikelyRecords, RecordRequests } from './record-requests.ts';

const open: { close(): void }[] = [];
afterEach(() => {
  for (const part of open.splice(0)) part.close();
  vi.unstubAllGlobals();
});

function parties() {
  const requests = new RecordRequests();
  const forecast = new LikelyRecords('model');
  const channel = new BroadcastChannel('mixtab-records');
  open.push(requests, forecast, channel);
  const want = (modelId: string, key: string) => channel.postMessage({ type: 'want', modelId, key });
  const unwant = (modelId: string, key: string) => channel.postMessage({ type: 'unwanted', modelId, key });
  return { requests, forecast, want, unwant };
}

/** Messages between channels arrive in a later turn. */
const delivered = () => new Promise((resolve) => setTimeout(resolve, 30));

describe('the next record', () => {
  it('is what was asked for first, else what is likeliest, else nobody’s wish', async () => {
    const { requests, forecast, want } = parties();
    const left = new Set(['a', 'b', 'c', 'd']);
    expect(await requests.next('model', left)).toBeUndefined();
    forecast.publish(['stored already', 'c', 'b']);
    await delivered();
    expect(await requests.next('model', left)).toBe('c');
    want('model', 'd');
    want('model', 'a');
    await delivered();
    expect(await requests.next('model', left)).toBe('d');
    requests.stored('model', 'd');
    left.delete('d');
    expect(await requests.next('model', left)).toBe('a');
    requests.stored('model', 'a');
    left.delete('a');
    expect(await requests.next('model', left)).toBe('c');
    forecast.publish(['b', 'c']);
    await delivered();
    expect(await requests.next('model', left)).toBe('b');
  });

  it('is not what nobody wants any more', async () => {
    const { requests, want, unwant } = parties();
    const left = new Set(['a', 'b']);
    want('model', 'a');
    want('model', 'b');
    await delivered();
    unwant('model', 'a');
    unwant('other', 'b');
    await delivered();
    expect(await requests.next('model', left)).toBe('b');
  });

  it('is not what another model wants or finds likely', async () => {
    const { requests, forecast, want } = parties();
    forecast.publish(['b']);
    want('other', 'a');
    await delivered();
    expect(await requests.next('third', new Set(['a', 'b']))).toBeUndefined();
  });
});

describe('waiting for a record that is still to be imported', () => {
  it('ends when it is taken back, and the import hears of it', async () => {
    vi.stubGlobal('navigator', { locks: { query: async () => ({ held: [{ name: IMPORT_LOCK }] }) } });
    const { requests } = parties();
    const left = new Set(['a']);
    const taken = new AbortController();
    const waiting = awaitRecord(new MemoryStore(), 'model', 'a', taken.signal);
    await delivered();
    expect(await requests.next('model', left)).toBe('a');
    taken.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'aborted' });
    await delivered();
    expect(await requests.next('model', left)).toBeUndefined();
  });
});
