/**
 * A server with the built page, small synthetic models and typical server faults. The journeys in Chromium and those in
 * other browsers use it.
 */
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { RateLimit } from '../bench/rate-limit.ts';
import { type Ranged, sendRange, serveStatic, syntheticRanged } from '../scripts/cli/server.ts';
import { responseHeaders } from '../scripts/response-headers.ts';
import { splitName } from '../workers/format/gguf/split.ts';
import { SYNTH_PRESETS } from '../workers/synth/presets.ts';
import { createSplitSynth, createSynth, type SynthFile } from '../workers/synth/synth.ts';

const DIST = join(import.meta.dirname, '..', 'dist');

/** Has a chat template. Its answers are random text, and with this context long enough to be stopped. */
const CHAT_OPTIONS = { ...SYNTH_PRESETS.tiny, contextLength: 4096, name: 'Tiny Chat' };
const chat = createSynth(CHAT_OPTIONS);
const { chatTemplate: _template, ...withoutTemplate } = SYNTH_PRESETS.tiny;
const plain = createSynth({ ...withoutTemplate, contextLength: 4096, name: 'Tiny Text', seed: 2 });

/**
 * Stands in for the built-in model in journeys that need none of its words and numbers: it has its name and no chat
 * template, and importing it takes a tenth of a second instead of two. It is so small that one request gets all samples
 * by which an import checks that the file stayed the same.
 */
const standIn = createSynth({
  ...withoutTemplate,
  name: 'mixtab storyteller',
  embeddingLength: 128,
  feedForwardLength: 128,
  types: { attention: 'Q8_0', experts: 'Q4_0', down: 'Q4_0', embedding: 'Q4_0', output: 'Q8_0', router: 'F32' },
  seed: 4,
});

/** A chat model with 56 records, for imports that are interrupted often. */
export const LONG_OPTIONS = { ...CHAT_OPTIONS, layers: 6, name: 'Long Chat', seed: 3 };
const long = createSynth(LONG_OPTIONS);

/** 26 GB that are generated as they are read. Tests read the header only. */
const large = createSynth({ ...SYNTH_PRESETS['8x7b'], name: 'Large' });

/** The chat model as three files. */
const chatParts = createSplitSynth(CHAT_OPTIONS, 3);
const partName = (part: number): string => splitName({ prefix: 'chat', part, count: 3 });

/** The split chat model, for a file chooser. */
export const chatFiles = (): { name: string; bytes: Uint8Array<ArrayBuffer> }[] =>
  chatParts.map((file, n) => ({ name: partName(n + 1), bytes: bytesOf(file) }));

/** The chat model as one file. */
export const chatModel = (): Uint8Array<ArrayBuffer> => chat.read(0, chat.size);

/** The model without a chat template as one file. */
export const plainModel = (): Uint8Array<ArrayBuffer> => bytesOf(plain);

/** The stand-in for the built-in model as one file. */
export const standInModel = (): Uint8Array<ArrayBuffer> => bytesOf(standIn);

/** The chat model cut at arbitrary bytes: the pieces are not GGUF files by themselves. */
export const chatPieces = (): { name: string; bytes: Uint8Array<ArrayBuffer> }[] => {
  const whole = chatModel();
  const size = Math.ceil(whole.length / 3);
  return [1, 2, 3].map((piece) => ({
    name: `chat.gguf.part${piece}of3`,
    bytes: whole.slice((piece - 1) * size, piece * size),
  }));
};

const bytesOf = (file: SynthFile): Uint8Array<ArrayBuffer> => file.read(0, file.size);

/** Replaces a text in the header, after another text, by one of the same length. */
function patched(file: SynthFile, after: string, from: string, to: string): Uint8Array<ArrayBuffer> {
  const bytes = bytesOf(file);
  const text = new TextDecoder('latin1').decode(bytes.subarray(0, 10_000));
  const at = text.indexOf(from, text.indexOf(after) + after.length);
  bytes.set(new TextEncoder().encode(to), at);
  return bytes;
}

const stored = (bytes: Uint8Array<ArrayBuffer>): SynthFile => ({
  size: bytes.byteLength,
  read: (offset, length) => bytes.slice(offset, offset + length),
});

const MODELS: Record<string, SynthFile> = {
  '/chat.gguf': chat,
  '/plain.gguf': plain,
  '/large.gguf': large,
  '/long.gguf': long,
  ...Object.fromEntries(chatParts.map((file, n) => [`/${partName(n + 1)}`, file])),
  ...Object.fromEntries(chatPieces().map(({ name, bytes }) => [`/${name}`, stored(bytes)])),
  [`/gap/${partName(1)}`]: chatParts[0],
  '/truncated.gguf': stored(bytesOf(plain).slice(0, plain.size >> 1)),
  '/cut-header.gguf': stored(bytesOf(plain).slice(0, 3000)),
  '/foreign.gguf': stored(new TextEncoder().encode('<!doctype html><title>Not a model</title>'.repeat(10))),
  '/other-architecture.gguf': stored(patched(plain, 'general.architecture', 'llama', 'qwen9')),
};

export interface TestServer {
  origin: string;
  /** The built-in model, or a small one under its name. */
  builtin: 'real' | 'stand-in';
  /** While true, every range of a model is delayed, so that an import takes a while. */
  slow: boolean;
  /** How fast a model is sent. */
  bytesPerSecond: number;
  /** Bytes of models sent so far. */
  bytesSent: number;
  /** Least time between two tokens, in milliseconds, for pages opened from then on. */
  msPerToken: number;
  /**
   * In pages that are opened while this is set, the engine asks before it reports a token, and waits at the limit until a
   * test raises it. `asked`: how many tokens it has asked for.
   */
  tokens: { asked: number; limit: number } | undefined;
  /** Code that runs in the engine's worker before its own, for pages opened from then on. */
  engineCode: string;
  /** While true, connections for models are dropped. */
  unreachable: boolean;
  /** While true, a different service worker is served, as after an update of the page. */
  updated: boolean;
  /** Code at the end of the service worker. */
  serviceWorkerCode: string;
  /** While true, no security headers are sent, as by many static hosts. */
  bare: boolean;
  /** Files whose paths match are missing, as after an update of the page. */
  missing: RegExp | undefined;
  /** Requested ranges of models, as `path bytes=...`. */
  ranges: string[];
  /** What browsers reported as violations of a Content-Security-Policy. */
  violations: string[];
  close(): void;
}

const COOP = { 'cross-origin-opener-policy': 'same-origin' };

/** Headers of `/embedder.html`, a page without any code of ours, by its parameter `as`. */
const EMBEDDERS: Record<string, Record<string, string>> = {
  plain: {},
  'require-corp': { ...COOP, 'cross-origin-embedder-policy': 'require-corp' },
  credentialless: { ...COOP, 'cross-origin-embedder-policy': 'credentialless' },
  sandboxed: { 'content-security-policy': 'sandbox allow-scripts' },
};

const VIOLATIONS_PATH = '/csp-violations';

async function recordReport(request: IncomingMessage, violations: string[]): Promise<void> {
  let text = '';
  for await (const part of request) text += String(part);
  violations.push(text);
}

/** Sends a file at the server's rate, and counts its bytes. */
function limited({ size, stream }: Ranged, limit: RateLimit, served: TestServer): Ranged {
  const PIECE = 1 << 14;
  async function* pieces(whole: Readable): AsyncGenerator<Uint8Array> {
    for await (const chunk of whole as AsyncIterable<Uint8Array>) {
      for (let offset = 0; offset < chunk.length; offset += PIECE) {
        const piece = chunk.subarray(offset, offset + PIECE);
        limit.bytesPerSecond = served.bytesPerSecond;
        yield await limit.delay(piece.length, Promise.resolve(piece));
        served.bytesSent += piece.length;
      }
    }
  }
  return { size, stream: (first, last) => Readable.from(pieces(stream(first, last)), { objectMode: false }) };
}

const TOKENS_PATH = '/tokens/';

/** Runs in the engine's worker before it reports tokens: asks the server, which answers when it may. */
const ASK_FOR_TOKENS = `
  const request = new XMLHttpRequest();
  request.open('GET', new URL('${TOKENS_PATH}' + tokens, location.href), false);
  request.send();`;

/**
 * Code in front of the engine's worker: it sleeps or asks before it reports a token, so that an answer of a small model
 * takes as long on every machine, or as long as a test needs.
 */
const slowTokens = ({ msPerToken, tokens }: TestServer): string => `{
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  const post = MessagePort.prototype.postMessage;
  MessagePort.prototype.postMessage = function (message, ...rest) {
    const calls = message?.argumentList?.[0]?.value;
    const tokens = Array.isArray(calls) ? calls.filter((args) => args?.[0]?.type === 'token').length : 0;
    if (tokens > 0) {
      Atomics.wait(sleeper, 0, 0, ${msPerToken} * tokens);
      ${tokens ? ASK_FOR_TOKENS : ''}
    }
    return post.call(this, message, ...rest);
  };
}`;

/**
 * Code in front of the engine's worker; empty if there is none. The worker has two files of that name, of which one
 * imports the other, so both begin with the code, and it runs in the one that runs first.
 */
function codeBeforeEngine(served: TestServer): string {
  const code = served.engineCode + (served.msPerToken > 0 || served.tokens ? slowTokens(served) : '');
  return code && `if (!self.codeBeforeEngineRan) {\n  self.codeBeforeEngineRan = true;\n${code}\n}`;
}

/** Answers when the engine may report `more` tokens. */
function allowTokens(served: TestServer, more: number, response: ServerResponse): void {
  if (served.tokens) served.tokens.asked += more;
  const tryAgain = (): void => {
    if (!served.tokens || served.tokens.asked <= served.tokens.limit) response.writeHead(204).end();
    else if (!response.destroyed) setTimeout(tryAgain, 20);
  };
  tryAgain();
}

/**
 * Starts a server on a free port of localhost.
 * @param models more models, by path
 */
export async function startServer(models: Record<string, SynthFile> = {}): Promise<TestServer> {
  const served: TestServer = {
    origin: '',
    builtin: 'real',
    slow: false,
    bytesPerSecond: Number.POSITIVE_INFINITY,
    bytesSent: 0,
    msPerToken: 0,
    tokens: undefined,
    engineCode: '',
    unreachable: false,
    updated: false,
    serviceWorkerCode: '',
    bare: false,
    missing: undefined,
    ranges: [],
    violations: [],
    close: () => {},
  };
  const limit = new RateLimit();
  const allModels = { ...MODELS, ...models };
  const server = createServer((request, response) => {
    const { pathname: path, searchParams: query } = new URL(request.url ?? '/', 'http://localhost');
    if (served.missing?.test(path)) {
      response.writeHead(404).end();
    } else if (path === '/sw.js' && (served.updated || served.serviceWorkerCode !== '')) {
      const code = [readFileSync(join(DIST, 'sw.js'), 'utf8'), served.serviceWorkerCode];
      if (served.updated) code.push('// next version');
      response.writeHead(200, { 'content-type': 'text/javascript' }).end(code.join('\n'));
    } else if (codeBeforeEngine(served) && path.startsWith('/assets/engine.worker-')) {
      response.writeHead(200, { ...responseHeaders({ path: path.slice(1) }), 'content-type': 'text/javascript' });
      response.end(`${codeBeforeEngine(served)}\n${readFileSync(join(DIST, path), 'utf8')}`);
    } else if (path.startsWith(TOKENS_PATH)) {
      allowTokens(served, Number(path.slice(TOKENS_PATH.length)), response);
    } else if (path === '/embedder.html') {
      response.writeHead(200, { 'content-type': 'text/html', ...EMBEDDERS[query.get('as') ?? 'plain'] });
      response.end('<!doctype html><title>A page of another site</title>');
    } else if (path === '/isolated.worker.js') {
      response.writeHead(200, {
        ...responseHeaders({ path: 'isolated.worker.js' }),
        'content-type': 'text/javascript',
      });
      response.end('postMessage(crossOriginIsolated)');
    } else if (path === VIOLATIONS_PATH) {
      void recordReport(request, served.violations);
      response.writeHead(204).end();
    } else if (path === '/models/builtin.gguf' && served.builtin === 'stand-in') {
      sendRange(request, response, syntheticRanged(standIn));
    } else if (path === '/no-ranges.gguf') {
      response.writeHead(200, { 'content-length': plain.size }).end(bytesOf(plain));
    } else if (allModels[path]) {
      if (served.unreachable) {
        response.destroy();
        return;
      }
      served.ranges.push(`${path} ${request.headers.range}`);
      const send = (): void => sendRange(request, response, limited(syntheticRanged(allModels[path]), limit, served));
      if (served.slow) setTimeout(send, 300);
      else send();
    } else serveStatic(DIST, request, response, { bare: served.bare, reportUri: VIOLATIONS_PATH });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  served.origin = `http://localhost:${(server.address() as AddressInfo).port}`;
  served.close = () => {
    server.closeAllConnections();
    server.close();
  };
  return served;
}
