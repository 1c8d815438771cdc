/** In which order a running import is asked for records, over the channel that the engine uses. */
import { afterEach, describe, expect, it } from 'vitest';
import { RecordForecast, RecordRequests } from './record-requests.ts';

const open: { close(): void }[] = [];
afterEach(() => {
  for (const part of open.splice(0)) part.close();
});

function parties() {
  const requests = new RecordRequests();
  const forecast = new RecordForecast('model');
  const channel = new BroadcastChannel('mixtab-records');
  open.push(requests, forecast, channel);
  const want = (modelId: string, key: string) => channel.postMessage({ type: 'want', modelId, key });
  return { requests, forecast, want };
}

/** Messages between channels arrive in a later turn. */
const delivered = () => new Promise((resolve) => setTimeout(resolve, 30));

describe('the next record', () => {
  it('is what was asked for first, else what is likeliest, else nobody’s wish', async () => {
    const { requests, forecast, want } = parties();
    const left = new Set(['a', 'b', 'c', 'd']);
    expect(await requests.next('model', left)).toBeUndefined();
    forecast.tell(['stored already', 'c', 'b']);
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
    forecast.tell(['b', 'c']);
    await delivered();
    expect(await requests.next('model', left)).toBe('b');
  });

  it('is not what another model wants or finds likely', async () => {
    const { requests, forecast, want } = parties();
    forecast.tell(['b']);
    want('other', 'a');
    await delivered();
    expect(await requests.next('third', new Set(['a', 'b']))).toBeUndefined();
  });
});
