/** The network source with a real server that behaves well, and with servers that misbehave. */
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

describe('HttpByteSource', () => {
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

  it('detects that the file changed on the server', async () => {
    let version = 0;
    const source = await HttpByteSource.open(await serving(ranges(() => `"${version}"`)), FAST);
    version = 1;
    await expect(source.read(500_000, 10)).rejects.toMatchObject({ code: 'source-changed' });
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
