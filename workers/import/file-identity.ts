/**
 * Recognizes a file on a web server by what each response says about it: size, ETag, last modification. Two servers of
 * one address may name the same content differently, so another name is not another file: a few bytes that were read
 * before decide.
 */
import type { Bytes } from '../../src/contract/ids.ts';

/** What a response says about the whole file. */
export interface Identity {
  size: Bytes;
  etag: string | null;
  lastModified: string | null;
}

/** Reads what a response says about the whole file. */
export const identityOf = ({ headers }: Response, size: Bytes): Identity => ({
  size,
  // A server that compresses or caches weakens the ETag. Its value still names the same content.
  etag: headers.get('etag')?.replace(/^W\//, '') ?? null,
  lastModified: headers.get('last-modified'),
});

/** Bytes that were read before, to compare the file with. */
export interface Sample {
  offset: Bytes;
  bytes: Uint8Array<ArrayBuffer>;
}

const SAMPLE_BYTES: Bytes = 64;
/** The first reads of an import are spread over the whole file (see open-model.ts), so these are the ones to keep. */
const MAX_SAMPLES = 32;
/** Names under which one content is known. Attack: a server that answers with a new ETag each time. */
const MAX_NAMES = 16;

/** The names under which the content of one file is known, and samples of the content. */
export class FileIdentity {
  readonly #names: Identity[];
  readonly #samples = new Map<Bytes, Uint8Array<ArrayBuffer>>();

  constructor(first: Identity) {
    this.#names = [first];
  }

  /** Whether a response with this name is of a file whose content is known. */
  isKnown(name: Identity): boolean {
    return this.#names.some((known) => sameName(known, name));
  }

  /** From now on, responses with this name are of the same file. */
  accept(name: Identity): void {
    this.#names.push(name);
    if (this.#names.length > MAX_NAMES) this.#names.splice(1, 1); // never the first
  }

  /** Remembers the beginning of what was read. */
  remember(offset: Bytes, bytes: Uint8Array): void {
    if (this.#samples.size >= MAX_SAMPLES || bytes.byteLength === 0) return;
    this.#samples.set(offset, new Uint8Array(bytes.subarray(0, SAMPLE_BYTES)));
  }

  /** At most `count` samples, evenly chosen, in the order in which they were read. */
  samples(count: number): Sample[] {
    const all = [...this.#samples].map(([offset, bytes]) => ({ offset, bytes }));
    const step = Math.max(1, all.length / count);
    return Array.from({ length: Math.min(count, all.length) }, (_, n) => all[Math.floor(n * step)]);
  }
}

function sameName(a: Identity, b: Identity): boolean {
  if (a.size !== b.size) return false;
  if (a.etag && b.etag) return a.etag === b.etag;
  return !(a.lastModified && b.lastModified) || a.lastModified === b.lastModified;
}

/** True if both have the same bytes. */
export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.byteLength === b.byteLength && a.every((byte, i) => byte === b[i]);
