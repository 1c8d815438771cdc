/** A server on the loopback interface for the built page, and for models with byte ranges. */
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize, relative } from 'node:path';
import { Readable } from 'node:stream';
import { responseHeaders, type ServedFile } from '../response-headers.ts';

/** A resource that is served in byte ranges. */
export interface Ranged {
  size: number;
  /** Streams the bytes `first` to `last`, inclusive. */
  stream(first: number, last: number): Readable;
}

const TYPES: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.webmanifest': 'application/manifest+json',
  '.wasm': 'application/wasm',
  '.json': 'application/json',
};

/** Serves a file from the disk. */
export const fileRanged = (path: string): Ranged => ({
  size: statSync(path).size,
  stream: (first, last) => createReadStream(path, { start: first, end: last }),
});

/** A file that is generated while it is read. */
export function syntheticRanged({
  size,
  read,
}: {
  size: number;
  read(offset: number, length: number): Uint8Array;
}): Ranged {
  const CHUNK = 1 << 20;
  function* chunks(first: number, last: number): Generator<Uint8Array> {
    for (let offset = first; offset <= last; offset += CHUNK) yield read(offset, Math.min(CHUNK, last + 1 - offset));
  }
  return {
    size,
    stream: (first, last) => Readable.from(chunks(first, last), { objectMode: false, highWaterMark: CHUNK }),
  };
}

/** Answers one request for a ranged resource. CORS headers allow any page to read it. */
export function sendRange(request: IncomingMessage, response: ServerResponse, { size, stream }: Ranged): void {
  response.setHeader('access-control-allow-origin', '*');
  response.setHeader('access-control-allow-headers', 'range');
  response.setHeader('access-control-expose-headers', 'content-range, content-length, etag');
  response.setHeader('accept-ranges', 'bytes');
  response.setHeader('content-type', 'application/octet-stream');
  if (request.method === 'OPTIONS') {
    response.writeHead(204).end();
    return;
  }
  const match = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const first = match ? Number(match[1]) : 0;
  const last = match?.[2] ? Math.min(Number(match[2]), size - 1) : size - 1;
  if (match && first >= size) {
    response.writeHead(416, { 'content-range': `bytes */${size}` }).end();
    return;
  }
  response.setHeader('content-length', last - first + 1);
  if (match) response.setHeader('content-range', `bytes ${first}-${last}/${size}`);
  response.writeHead(match ? 206 : 200);
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  const body = stream(first, last);
  response.on('close', () => body.destroy());
  body.on('error', () => response.destroy()).pipe(response);
}

/** Options of {@link serveStatic}. */
export interface StaticOptions {
  reportUri?: ServedFile['reportUri'];
  /** Sends no security headers, as many static hosts do. */
  bare?: boolean;
}

/**
 * Answers a request from a folder of static files, with the security headers of the page, and supports byte ranges for
 * the models in it.
 */
export function serveStatic(
  root: string | undefined,
  request: IncomingMessage,
  response: ServerResponse,
  { reportUri, bare = false }: StaticOptions = {},
): void {
  const path = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname);
  const file = root && join(root, normalize(path.endsWith('/') ? `${path}index.html` : path));
  if (!file?.startsWith(root ?? '') || !existsSync(file) || !statSync(file).isFile()) {
    response.writeHead(404).end();
  } else if (extname(file) === '.gguf') {
    sendRange(request, response, fileRanged(file));
  } else {
    const html = extname(file) === '.html' ? readFileSync(file, 'utf8') : undefined;
    response.writeHead(200, {
      ...(!bare &&
        responseHeaders({
          path: relative(root ?? '', file),
          ...(html !== undefined && { html }),
          ...(reportUri !== undefined && { reportUri }),
        })),
      'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
    });
    if (html === undefined) createReadStream(file).pipe(response);
    else response.end(html);
  }
}

/** A running server. */
export interface Served {
  origin: string;
  close(): void;
}

/**
 * Starts a server.
 * @param root folder of static files, or undefined for none
 * @param ranged resources by path, e.g. `/model.gguf`
 * @param port 0 for any free port
 */
export async function serve(root: string | undefined, ranged: Record<string, Ranged>, port = 0): Promise<Served> {
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname);
    if (ranged[path]) sendRange(request, response, ranged[path]);
    else serveStatic(root, request, response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const { port: actual } = server.address() as AddressInfo;
  return {
    // Chromium treats localhost as a secure context.
    origin: `http://localhost:${actual}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
