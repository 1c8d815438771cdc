/** The network source with a real server that behaves well, and with servers that misbehave. */
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { HttpByteSource } from './http-byte-source.ts';

const DATA = Uint8Array.from({ length: 1_000_000 }, (_, i) => (i * 7) & 255);
const FAST = { retryDelaysMs: [1, 1] };
let close = (): void => {};
afterEach(() => close());

async function serving(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  close = () => {
    server.closeAllConnections();
    server.close();
  };
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/folder/model.gguf?download=true`;
}

/** Answers range requests correctly. `etag` is called for each response. */
const ranges =
  (etag: () => string = () => '"a"'): RequestListener =>
  (request, response) => {
    const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '') ?? [];
    const last = Math.min(Number(to), DATA.length - 1);
    response.writeHead(206, {
      etag: etag(),
      'content-range': `bytes ${from}-${last}/${DATA.length}`,
      'content-length': last - Number(from) + 1,
    });
    response.end(DATA.subarray(Number(from), last + 1));
  };

/** Passes on the headers of an answer, with other bytes of the same range. */
function sendingInstead(response: ServerResponse, other: Uint8Array): ServerResponse {
  let first = 0;
  return {
    writeHead(status: number, headers: Record<string, string>) {
      first = Number(/bytes (\d+)/.exec(headers['content-range'])?.[1]);
      response.writeHead(status, headers);
    },
    end: (bytes: Uint8Array) => response.end(other.subarray(first, first + bytes.length)),
  } as unknown as ServerResponse;
}

/** A faulty answer, given once or for ever after the file was opened. */
type Fault = (request: IncomingMessage, response: ServerResponse) => void;

/** A server that answers well, but with `fault` while `faults` are left. */
async function faulty(fault: Fault): Promise<{ url: string; state: { faults: number; requests: number } }> {
  const state = { faults: 0, requests: 0 };
  const good = ranges();
  const url = await serving((request, response) => {
    state.requests++;
    if (state.faults-- > 0) fault(request, response);
    else good(request, response);
  });
  return { url, state };
}

/** Two servers. The first requires a token and redirects to the second, which has another origin: another port. */
async function gated(): Promise<{ url: string; seen: Record<'gate' | 'store', (string | undefined)[]> }> {
  const seen: Record<'gate' | 'store', (string | undefined)[]> = { gate: [], store: [] };
  const good = ranges();
  const store = await serving((request, response) => {
    seen.store.push(request.headers.authorization);
    good(request, response);
  });
  const closeStore = close;
  const url = await serving((request, response) => {
    seen.gate.push(request.headers.authorization);
    const { authorization } = request.headers;
    if (authorization === undefined || authorization === 'Bearer hf_old') response.writeHead(401).end();
    else if (authorization !== 'Bearer hf_good') response.writeHead(403).end();
    else response.writeHead(302, { location: store }).end();
  });
  const closeGate = close;
  close = () => {
    closeStore();
    closeGate();
  };
  return { url: url.replace('/folder/', '/owner/name/resolve/main/'), seen };
}

describe('a file that requires a token', () => {
  it('is read with the token; the host that it redirects to never receives it', async () => {
    const { url, seen } = await gated();
    const source = await HttpByteSource.open(url, {
      ...FAST,
      access: { origin: new URL(url).origin, token: 'hf_good' },
    });
    expect(await source.read(500_000, 10)).toEqual(DATA.slice(500_000, 500_010));
    expect(seen.gate).toEqual(['Bearer hf_good', 'Bearer hf_good']);
    expect(seen.store).toEqual([undefined, undefined]);
  });

  it('does not receive a token for another origin', async () => {
    const { url, seen } = await gated();
    const access = { origin: 'https://huggingface.co', token: 'hf_good' };
    await expect(HttpByteSource.open(url, { ...FAST, access })).rejects.toMatchObject({ code: 'source-unreachable' });
    expect(seen.gate).toEqual([undefined]);
  });

  it.each([
    ['hf_old', /token is not accepted/, /expired/],
    ['hf_other', /may not read it/, /Accept the licence on http:\/\/[\d.:]+\/owner\/name with that account/],
  ])('reports what is wrong with %s, without the token itself', async (token, message, remedy) => {
    const { url } = await gated();
    const error: unknown = await HttpByteSource.open(url, {
      ...FAST,
      access: { origin: new URL(url).origin, token },
    }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'source-gated',
      message: expect.stringMatching(message),
      remedy: expect.stringMatching(remedy),
    });
    expect(JSON.stringify(error) + String(error)).not.toContain(token);
  });
});

describe('a refusal after a good answer', () => {
  const status =
    (code: number): Fault =>
    (_request, response) =>
      response.writeHead(code).end();
  const cases: [name: string, fault: Fault, code: string][] = [
    ['401', status(401), 'source-unreachable'],
    ['403', status(403), 'source-unreachable'],
    ['404', status(404), 'source-unreachable'],
    ['200 with the whole file', (_request, response) => response.writeHead(200).end(DATA), 'source-no-ranges'],
    [
      '206 without Content-Range',
      (_request, response) => response.writeHead(206).end(DATA.subarray(0, 10)),
      'source-no-ranges',
    ],
    [
      '206 with another range',
      (_request, response) =>
        response.writeHead(206, { 'content-range': `bytes 0-9/${DATA.length}` }).end(DATA.subarray(0, 10)),
      'source-no-ranges',
    ],
    [
      'the page of a captive portal',
      (_request, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
      'source-unreachable',
    ],
  ];

  it.each(cases)('%s: the request is repeated', async (_name, fault) => {
    const { url, state } = await faulty(fault);
    const source = await HttpByteSource.open(url, FAST);
    state.faults = 2;
    expect(await source.read(500_000, 10)).toEqual(DATA.slice(500_000, 500_010));
    expect(state.requests).toBe(4);
  });

  it.each(cases)('%s: if it lasts, its own error is thrown', async (_name, fault, code) => {
    const { url, state } = await faulty(fault);
    // Even if the caller waits for a lost network without a limit.
    const source = await HttpByteSource.open(url, { ...FAST, onOutage: () => {} });
    state.faults = Number.POSITIVE_INFINITY;
    await expect(source.read(500_000, 10)).rejects.toMatchObject({ code });
    expect(state.requests).toBe(4);
  });

  it('is repeated at the first address if a redirect led to it, and asks for no token', async () => {
    let signature = 0;
    let expired = 0;
    const good = ranges();
    const store = await serving((request, response) => {
      const given = Number(new URL(request.url ?? '', 'http://x').searchParams.get('signature'));
      if (given <= expired) response.writeHead(403).end();
      else good(request, response);
    });
    const closeStore = close;
    const url = await serving((_request, response) =>
      response.writeHead(302, { location: `${store}&signature=${++signature}` }).end(),
    );
    const closeGate = close;
    close = () => {
      closeStore();
      closeGate();
    };
    const access = { origin: new URL(url).origin, token: 'hf_good' };
    const source = await HttpByteSource.open(url, { ...FAST, access });
    expired = 2;
    expect(await source.read(500_000, 10)).toEqual(DATA.slice(500_000, 500_010));
    expect(signature).toBe(3);
    expired = Number.POSITIVE_INFINITY;
    for (const request of [() => source.read(600_000, 10), () => HttpByteSource.open(url, { ...FAST, access })]) {
      await expect(request()).rejects.toMatchObject({
        code: 'source-unreachable',
        message: expect.stringMatching(/127\.0\.0\.1:\d+, which it redirects to, answered with HTTP status 403/),
      });
    }
  });
});

describe('HttpByteSource', () => {
  it('leaves no listener on the signal that it was opened with', async () => {
    const { signal } = new AbortController();
    const added = vi.spyOn(signal, 'addEventListener');
    const removed = vi.spyOn(signal, 'removeEventListener');
    const source = await HttpByteSource.open(await serving(ranges()), { ...FAST, signal });
    await source.read(500_000, 10, signal);
    expect(added).toHaveBeenCalledTimes(2);
    expect(removed.mock.calls.map(([, listener]) => listener)).toEqual(
      added.mock.calls.map(([, listener]) => listener),
    );
  });

  it('has name and size, and reads any range', async () => {
    const source = await HttpByteSource.open(await serving(ranges()), FAST);
    expect([source.name, source.size]).toEqual(['model.gguf', DATA.length]);
    for (const [offset, length] of [
      [0, 4],
      [10, 100],
      [262_000, 1000],
      [999_990, 10],
    ]) {
      expect(await source.read(offset, length)).toEqual(DATA.slice(offset, offset + length));
    }
  });

  it('reports a server without byte ranges', async () => {
    const url = await serving((_request, response) => response.writeHead(200).end(DATA));
    await expect(HttpByteSource.open(url, FAST)).rejects.toMatchObject({ code: 'source-no-ranges' });
  });

  it('reports the HTTP status of a refusal', async () => {
    const url = await serving((_request, response) => response.writeHead(404).end());
    await expect(HttpByteSource.open(url, FAST)).rejects.toMatchObject({
      code: 'source-unreachable',
      message: expect.stringContaining('404'),
    });
  });

  it('repeats a request after a failure that may pass', async () => {
    let calls = 0;
    const good = ranges();
    const url = await serving((request, response) => {
      if (++calls % 2 === 1) response.writeHead(503).end();
      else good(request, response);
    });
    const source = await HttpByteSource.open(url, FAST);
    expect(await source.read(500_000, 10)).toEqual(DATA.slice(500_000, 500_010));
    expect(calls).toBe(4);
  });

  it('accepts another ETag, or its weak form, for the same content', async () => {
    let etag = '"a"';
    const source = await HttpByteSource.open(await serving(ranges(() => etag)), FAST);
    for (const other of ['W/"a"', '"b"', '"a"', 'W/"c"']) {
      etag = other;
      expect(await source.read(500_000, 10), other).toEqual(DATA.slice(500_000, 500_010));
    }
  });

  it('detects a file of equal size that replaced the first, before it takes a byte of it', async () => {
    let replaced = false;
    const good = ranges(() => (replaced ? '"b"' : '"a"'));
    const other = DATA.map((byte) => byte ^ 1);
    const url = await serving((request, response) => {
      if (replaced) good(request, sendingInstead(response, other));
      else good(request, response);
    });
    const source = await HttpByteSource.open(url, FAST);
    await source.read(700_000, 100);
    replaced = true;
    await expect(source.read(500_000, 10)).rejects.toMatchObject({
      code: 'source-changed',
      message: expect.stringMatching(
        /replaced by another file while it was being read: its bytes at \d+ are different/,
      ),
    });
    replaced = false;
    expect(await source.read(500_000, 10)).toEqual(DATA.slice(500_000, 500_010));
  });

  it('detects a file of another size', async () => {
    let size = DATA.length;
    const url = await serving((request, response) => {
      const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '') ?? [];
      response.writeHead(206, { 'content-range': `bytes ${from}-${to}/${size}` });
      response.end(DATA.subarray(Number(from), Number(to) + 1));
    });
    const source = await HttpByteSource.open(url, FAST);
    size++;
    await expect(source.read(500_000, 10)).rejects.toMatchObject({
      code: 'source-changed',
      message: expect.stringContaining('it has 1000001 bytes instead of 1000000'),
    });
  });

  it('continues where a connection broke, and gives up if no attempt delivers data', async () => {
    const good = ranges();
    let broken = true;
    const url = await serving((request, response) => {
      const first = Number(/bytes=(\d+)/.exec(request.headers.range ?? '')?.[1]);
      if (broken && first >= 500_000) {
        const rest = 500_100 - first;
        response.writeHead(206, {
          etag: '"a"',
          'content-range': `bytes ${first}-500099/${DATA.length}`,
          'content-length': rest,
        });
        if (first === 500_000) response.write(DATA.subarray(500_000, 500_050), () => response.destroy());
        else response.destroy();
      } else good(request, response);
    });
    const source = await HttpByteSource.open(url, FAST);
    await expect(source.read(500_000, 100)).rejects.toMatchObject({ code: 'source-unreachable' });
    setTimeout(() => {
      broken = false;
    }, 50);
    const patient = await HttpByteSource.open(url, { retryDelaysMs: [100, 100] });
    expect(await patient.read(500_000, 100)).toEqual(DATA.slice(500_000, 500_100));
  });

  it('waits for a lost network without a limit, reports that, and continues', async () => {
    const good = ranges();
    let offline = false;
    const url = await serving((request, response) => (offline ? response.destroy() : good(request, response)));
    const outages: boolean[] = [];
    const source = await HttpByteSource.open(url, {
      retryDelaysMs: [1, 5],
      onOutage: (cause) => {
        outages.push(cause !== undefined);
        if (outages.length === 6) offline = false;
      },
    });
    offline = true;
    expect(await source.read(500_000, 100)).toEqual(DATA.slice(500_000, 500_100));
    expect(outages).toEqual([true, true, true, true, true, true, false]);
    // Opening a file does not wait: the address may be wrong.
    offline = true;
    await expect(HttpByteSource.open(url, { retryDelaysMs: [1], onOutage: () => {} })).rejects.toMatchObject({
      code: 'source-unreachable',
    });
    const controller = new AbortController();
    const stopped = source.read(600_000, 100, controller.signal);
    setTimeout(() => controller.abort(), 30);
    await expect(stopped).rejects.toMatchObject({ code: 'aborted' });
  });

  it('rejects with `aborted` if its signal is aborted', async () => {
    const source = await HttpByteSource.open(await serving(ranges()), FAST);
    await expect(source.read(500_000, 10, AbortSignal.abort())).rejects.toMatchObject({ code: 'aborted' });
  });
});
