/** The network source against a real server that behaves, and against the ways in which servers misbehave. */
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
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

/** Answers ranges as it should; `etag` is asked for each answer. */
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

/** Two servers, the first of which wants a token and sends on to the second: other ports are other origins. */
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

describe('a file that wants a token', () => {
  it('is read with it; the host that it redirects to never sees it', async () => {
    const { url, seen } = await gated();
    const source = await HttpByteSource.open(url, {
      ...FAST,
      access: { origin: new URL(url).origin, token: 'hf_good' },
    });
    expect(await source.read(500_000, 10)).toEqual(DATA.slice(500_000, 500_010));
    expect(seen.gate).toEqual(['Bearer hf_good', 'Bearer hf_good']);
    expect(seen.store).toEqual([undefined, undefined]);
  });

  it('a token of another origin is not sent at all', async () => {
    const { url, seen } = await gated();
    const access = { origin: 'https://huggingface.co', token: 'hf_good' };
    await expect(HttpByteSource.open(url, { ...FAST, access })).rejects.toMatchObject({ code: 'source-unreachable' });
    expect(seen.gate).toEqual([undefined]);
  });

  it.each([
    ['hf_old', /token is not accepted/, /expired/],
    ['hf_other', /may not read it/, /Accept the licence on http:\/\/[\d.:]+\/owner\/name with that account/],
  ])('what is wrong with %s is told, and the token is not', async (token, message, remedy) => {
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

describe('HttpByteSource', () => {
  it('knows name and size, and reads any range', async () => {
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

  it('names a server without byte ranges', async () => {
    const url = await serving((_request, response) => response.writeHead(200).end(DATA));
    await expect(HttpByteSource.open(url, FAST)).rejects.toMatchObject({ code: 'source-no-ranges' });
  });

  it('names the status of a refusal', async () => {
    const url = await serving((_request, response) => response.writeHead(404).end());
    await expect(HttpByteSource.open(url, FAST)).rejects.toMatchObject({
      code: 'source-unreachable',
      message: expect.stringContaining('404'),
    });
  });

  it('tries again after a failure that may pass', async () => {
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

  it('notices that the file changed on the server', async () => {
    let version = 0;
    const source = await HttpByteSource.open(await serving(ranges(() => `"${version}"`)), FAST);
    version = 1;
    await expect(source.read(500_000, 10)).rejects.toMatchObject({ code: 'source-changed' });
  });

  it('goes on where a connection broke off, and gives up where none brings anything', async () => {
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

  it('waits for a network that is gone as long as it takes, says so, and goes on', async () => {
    const good = ranges();
    let gone = false;
    const url = await serving((request, response) => (gone ? response.destroy() : good(request, response)));
    const told: boolean[] = [];
    const source = await HttpByteSource.open(url, {
      retryDelaysMs: [1, 5],
      onOutage: (cause) => {
        told.push(cause !== undefined);
        if (told.length === 6) gone = false;
      },
    });
    gone = true;
    expect(await source.read(500_000, 100)).toEqual(DATA.slice(500_000, 500_100));
    expect(told).toEqual([true, true, true, true, true, true, false]);
    // What is not there when it is opened is not waited for: the address may be wrong.
    gone = true;
    await expect(HttpByteSource.open(url, { retryDelaysMs: [1], onOutage: () => {} })).rejects.toMatchObject({
      code: 'source-unreachable',
    });
    const stop = new AbortController();
    const stopped = source.read(600_000, 100, stop.signal);
    setTimeout(() => stop.abort(), 30);
    await expect(stopped).rejects.toMatchObject({ code: 'aborted' });
  });

  it('stops when it is told to', async () => {
    const source = await HttpByteSource.open(await serving(ranges()), FAST);
    await expect(source.read(500_000, 10, AbortSignal.abort())).rejects.toMatchObject({ code: 'aborted' });
  });
});
