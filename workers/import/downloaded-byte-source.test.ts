/** A file that is read while it is downloaded, from real servers: slow ones, ones that break off, and changed files. */
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { MemoryStore } from '../store/memory-store.ts';
import { SYNTH_PRESETS } from '../synth/presets.ts';
import { createSynth } from '../synth/synth.ts';
import type { ByteSource } from './byte-source.ts';
import { openDownloading } from './downloaded-byte-source.ts';
import type { HttpOptions } from './http-byte-source.ts';
import { PrefetchedDownload } from './prefetched-download.ts';
import { importSource, sourceOf, TINY } from './testing.ts';

const DATA = Uint8Array.from({ length: 4_000_000 }, (_, i) => (i * 7 + (i >> 9)) & 255);
const FAST = { retryDelaysMs: [1, 1] };
let close = (): void => {};
afterEach(() => close());

/** The range that a request names; without a last byte, up to the end of the file. */
function rangeOf({ headers }: IncomingMessage, size: number): [first: number, end: number] {
  const [, first, last] = /bytes=(\d+)-(\d*)/.exec(headers.range ?? '') ?? [];
  return [Number(first), last ? Math.min(Number(last) + 1, size) : size];
}

/** Sends the headers of a correct answer. */
function begin(response: ServerResponse, [first, end]: [number, number], size: number, etag?: string): void {
  response.writeHead(206, {
    'content-range': `bytes ${first}-${end - 1}/${size}`,
    'content-length': end - first,
    ...(etag !== undefined && { etag }),
  });
}

interface Server {
  url: string;
  /** The ranges that were requested. */
  ranges: [first: number, end: number][];
}

/** @param answer to a request for a range; default: the bytes of `data` */
async function serving(
  answer?: (response: ServerResponse, range: [number, number], request: IncomingMessage) => void,
  data = DATA,
): Promise<Server> {
  const ranges: Server['ranges'] = [];
  const listener: RequestListener = (request, response) => {
    const range = rangeOf(request, data.length);
    ranges.push(range);
    if (answer) return answer(response, range, request);
    begin(response, range, data.length);
    response.end(data.subarray(...range));
  };
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/model.gguf`, ranges };
}

const open = (url: string, options: HttpOptions = {}): Promise<ByteSource> =>
  openDownloading(url, DATA.length, { ...FAST, ...options });

async function expectRead(source: ByteSource, offset: number, length: number): Promise<void> {
  expect(Buffer.compare(await source.read(offset, length), DATA.subarray(offset, offset + length))).toBe(0);
}

describe('a small file', () => {
  it('takes one request, wherever it is read', async () => {
    const { url, ranges } = await serving();
    const source = await open(url);
    expect([source.name, source.size]).toEqual(['model.gguf', DATA.length]);
    for (const [offset, length] of [
      [0, 4],
      [100, 3_999_800], // a short read this far ahead would have a request of its own if the server is slow
      [3_900_000, 1000],
      [3_999_990, 10],
    ])
      await expectRead(source, offset, length);
    expect(source.arrived).toBe(DATA.length);
    expect(ranges).toEqual([[0, DATA.length]]);
  });

  it('is read while it arrives; a short read far ahead of it makes a request of its own after a moment', async () => {
    let sendRest = (): void => {};
    const { url, ranges } = await serving((response, range) => {
      begin(response, range, DATA.length);
      if (range[1] < DATA.length) return void response.end(DATA.subarray(...range));
      response.write(DATA.subarray(0, 1_000_000));
      sendRest = () => void response.end(DATA.subarray(1_000_000));
    });
    const source = await open(url);
    await expectRead(source, 900_000, 100_000);
    expect(source.arrived).toBe(1_000_000);
    const long = source.read(1_000_000, 1_500_000);
    const near = source.read(1_100_000, 1000);
    await expectRead(source, 3_000_000, 1000);
    expect(ranges).toEqual([
      [0, DATA.length],
      [3_000_000, 3_001_000],
    ]);
    sendRest();
    expect((await long).byteLength + (await near).byteLength).toBe(1_501_000);
    await expectRead(source, 3_500_000, 1000);
    expect(ranges).toHaveLength(2);
  });

  it('is continued where the connection broke, even by a server that names it differently', async () => {
    let broken = 0;
    const { url, ranges } = await serving((response, [first, end]) => {
      begin(response, [first, end], DATA.length, ranges.length === 1 ? '"a"' : '"b"');
      if (broken++ === 0) response.write(DATA.subarray(0, 1_500_000), () => response.destroy());
      else response.end(DATA.subarray(first, end));
    });
    const source = await open(url);
    await expectRead(source, 1_000_000, 2_900_000);
    const rest = ranges[1][0];
    expect(rest).toBeGreaterThan(256 * 1024);
    expect(rest).toBeLessThanOrEqual(1_500_000);
    await expectRead(source, 0, DATA.length);
  });

  it('is not continued with another file of the same size', async () => {
    const other = DATA.map((byte, i) => (i < 400_000 ? byte : byte ^ 1)); // the same header, other weights
    const { url, ranges } = await serving((response, range) => {
      const isFirst = ranges.length === 1;
      begin(response, range, DATA.length, isFirst ? '"a"' : '"b"');
      if (isFirst) response.write(DATA.subarray(0, 1_500_000), () => response.destroy());
      else response.end(other.subarray(...range));
    });
    const source = await open(url);
    await expect(source.read(0, DATA.length)).rejects.toMatchObject({ code: 'source-changed' });
  });

  it('is compared with what the server has now', async () => {
    let served = DATA;
    const { url } = await serving((response, range) => {
      begin(response, range, DATA.length); // nothing tells the two files apart
      response.end(served.subarray(...range));
    });
    const source = await open(url);
    await expectRead(source, 0, DATA.length);
    expect(await source.readAgain!(3_000_000, 10)).toEqual(DATA.slice(3_000_000, 3_000_010));
    served = DATA.map((byte) => byte ^ 1);
    await expectRead(source, 3_000_000, 10);
    await expect(source.readAgain!(3_000_000, 10)).rejects.toMatchObject({ code: 'source-changed' });
  });

  it.each(['close', 'abort'] as const)('is not downloaded further after %s', async (how) => {
    let ended = (): void => {};
    const end = new Promise<void>((resolve) => {
      ended = resolve;
    });
    const { url } = await serving((response, range) => {
      begin(response, range, DATA.length);
      response.write(DATA.subarray(0, 1_000_000));
      response.on('close', ended);
    });
    const controller = new AbortController();
    const source = await open(url, { signal: controller.signal });
    const waiting = source.read(0, DATA.length);
    if (how === 'close') source.close!();
    else controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'aborted' });
    await end;
  });

  it('rejects a read whose own signal is aborted, and only that', async () => {
    let sendRest = (): void => {};
    const { url } = await serving((response, range) => {
      begin(response, range, DATA.length);
      response.write(DATA.subarray(0, 1_000_000));
      sendRest = () => void response.end(DATA.subarray(1_000_000));
    });
    const source = await open(url);
    const controller = new AbortController();
    const stopped = source.read(0, DATA.length, controller.signal);
    controller.abort();
    await expect(stopped).rejects.toMatchObject({ code: 'aborted' });
    sendRest();
    await expectRead(source, 0, DATA.length);
  });
});

it('a larger file is read by ranges', async () => {
  const { url, ranges } = await serving();
  const source = await openDownloading(url, DATA.length - 1, FAST);
  await expectRead(source, 3_000_000, 1000);
  expect(source.arrived).toBeUndefined();
  expect(ranges[1]).toEqual([3_000_000, 3_001_000]);
});

describe('a download that begins before the import', () => {
  /** A server that sends a part, and the rest when `send` is called. */
  async function slow() {
    let send = (): void => {};
    let ended = (): void => {};
    const end = new Promise<void>((resolve) => {
      ended = resolve;
    });
    const server = await serving((response, range) => {
      begin(response, range, DATA.length);
      response.write(DATA.subarray(0, 1_000_000));
      response.on('close', ended);
      send = () => void response.end(DATA.subarray(1_000_000));
    });
    return { ...server, send: () => send(), end };
  }

  it('is taken with what has arrived, and reports to the import from then on', async () => {
    const { url, ranges, send } = await slow();
    const download = new PrefetchedDownload(url, DATA.length);
    await expect.poll(() => ranges.length).toBe(1);
    const onData = vi.fn();
    const source = await download.take({ ...FAST, onData });
    await expectRead(source, 0, 1_000_000);
    const before = onData.mock.calls.length;
    send();
    await expectRead(source, 0, DATA.length);
    expect(onData.mock.calls.length).toBeGreaterThan(before);
    expect(ranges).toEqual([[0, DATA.length]]);
  });

  it('ends if nobody wants it', async () => {
    const { url, ranges, end } = await slow();
    const download = new PrefetchedDownload(url, DATA.length);
    await expect.poll(() => ranges.length).toBe(1);
    download.drop();
    await end;
  });

  it('ends with the import that has taken it', async () => {
    const { url, end } = await slow();
    const controller = new AbortController();
    const source = await new PrefetchedDownload(url, DATA.length).take({ signal: controller.signal });
    const reading = source.read(0, DATA.length);
    controller.abort();
    await expect(reading).rejects.toMatchObject({ code: 'aborted' });
    await end;
  });
});

describe('an import', () => {
  it('of a download gives the same model as one of the file, and notices that the file was replaced', async () => {
    const synth = createSynth({ ...SYNTH_PRESETS.tiny, layers: 6 });
    const data = synth.read(0, synth.size);
    let served = data;
    const { url, ranges } = await serving((response, range) => {
      begin(response, range, data.length);
      response.end(served.subarray(...range));
    }, data);
    const builtin = { kind: 'builtin' as const };
    const expected = await importSource(new MemoryStore(), sourceOf({ ...TINY, layers: 6 }), builtin);
    const imported = await importSource(new MemoryStore(), await openDownloading(url, data.length, FAST), builtin);
    expect(imported.id).toBe(expected.id);
    expect(ranges.filter(([first]) => first === 0)).toHaveLength(1);

    const store = new MemoryStore();
    const replacing = importSource(store, await openDownloading(url, data.length, FAST), {
      ...builtin,
      onProgress: ({ recordsDone }) => {
        if (recordsDone > 0) served = data.map((byte) => byte ^ 1);
      },
    });
    await expect(replacing).rejects.toMatchObject({ code: 'source-changed' });
    expect(await store.listManifests()).toEqual([]);
  });

  it('stores what has arrived of a slow download, so that it can continue from there', async () => {
    const synth = createSynth({ ...SYNTH_PRESETS.tiny, layers: 6 });
    const data = synth.read(0, synth.size);
    const part = Math.floor(data.length * 0.6);
    const { url } = await serving((response, range) => {
      begin(response, range, data.length);
      if (range[1] < data.length) return void response.end(data.subarray(...range));
      response.write(data.subarray(0, part)); // and no more
    }, data);
    const store = new MemoryStore();
    const controller = new AbortController();
    const source = await openDownloading(url, data.length, FAST);
    let bytesDone = 0;
    const stored = importSource(store, source, {
      kind: 'builtin',
      signal: controller.signal,
      onProgress: (progress) => {
        bytesDone = progress.bytesDone;
      },
    });
    await expect.poll(() => bytesDone, { timeout: 5000 }).toBeGreaterThan(data.length * 0.4);
    controller.abort();
    await expect(stored).rejects.toMatchObject({ code: 'aborted' });
    const [journal] = await store.listJournals();
    expect(journal.records.some(({ key }) => key.includes('.E'))).toBe(true);
    source.close!();
  });
});
