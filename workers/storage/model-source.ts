/** Opens what a user names: a file, an address, or the parts of a split GGUF, as one source of bytes. */
import { MixtabError } from '../../src/contract/errors.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import { readPartHeader } from '../gguf/header.ts';
import { missingParts, mixed, orderParts, parseSplitName, splitInfo, splitUrl } from '../gguf/split.ts';
import { BlobByteSource, type ByteSource, checkRange } from './byte-source.ts';
import { type HttpOptions, HttpByteSource } from './http-byte-source.ts';

/** The parts of a split GGUF, strung together. */
export class SplitByteSource implements ByteSource {
  readonly name: string;
  readonly size: Bytes;

  /** @param parts in order */
  constructor(readonly parts: readonly ByteSource[]) {
    const [first] = parts;
    this.name = `${parseSplitName(first.name)?.prefix ?? first.name.replace(/\.gguf$/i, '')}.gguf`;
    this.size = parts.reduce((sum, { size }) => sum + size, 0);
  }

  async read(offset: Bytes, length: Bytes, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    checkRange(this, offset, length);
    let start = 0;
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    for (const part of this.parts) {
      const from = Math.max(offset, start);
      const to = Math.min(offset + length, start + part.size);
      if (to > from) pieces.push(await part.read(from - start, to - from, signal));
      start += part.size;
    }
    if (pieces.length === 1) return pieces[0]; // a tensor lies in one part
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const piece of pieces) {
      bytes.set(piece, at);
      at += piece.byteLength;
    }
    return bytes;
  }
}

/**
 * @param files one whole file, or all parts of a split one in any order
 * @throws MixtabError `gguf-missing-part`, `gguf-mixed-parts`, or what reading a header throws
 */
export async function openFiles(files: readonly { blob: Blob; name: string }[], signal?: AbortSignal): Promise<ByteSource> {
  const sources = files.map(({ blob, name }) => new BlobByteSource(blob, name));
  if (sources.length === 0) throw new MixtabError('bad-request', 'No file was given.', 'Choose a .gguf file.');
  const parts: { name: string; size: Bytes; source: ByteSource; info: ReturnType<typeof splitInfo> }[] = [];
  for (const source of sources) {
    const { metadata } = await readPartHeader(source, signal);
    parts.push({ name: source.name, size: source.size, source, info: splitInfo(metadata) });
  }
  if (parts.length === 1 && !parts[0].info) return sources[0];
  return new SplitByteSource(orderParts(parts).map(({ source }) => source));
}

/**
 * @param url of a whole file, or of any part of a split one: the others are looked for beside it
 * @throws MixtabError `gguf-missing-part`, `gguf-mixed-parts`, or what opening and reading a header throws
 */
export async function openUrl(url: string, options: HttpOptions = {}): Promise<ByteSource> {
  const given = await HttpByteSource.open(url, options);
  const name = parseSplitName(given.name);
  if (!name) return given; // a part under another name is refused, and its others named, when its header is read
  const info = splitInfo((await readPartHeader(given, options.signal)).metadata);
  if (!info) return given;
  if (info.count !== name.count || info.no !== name.part - 1) {
    throw mixed(`${given.name} is part ${info.no + 1} of ${info.count}, whatever its name says`);
  }
  const parts: ByteSource[] = [];
  for (let part = 1; part <= info.count; part++) {
    parts.push(part === name.part ? given : await openPart(url, part, info.count, given.name, options));
  }
  return new SplitByteSource(parts);
}

async function openPart(url: string, part: number, count: number, name: string, options: HttpOptions): Promise<ByteSource> {
  try {
    return await HttpByteSource.open(splitUrl(url, part) ?? url, options);
  } catch (error) {
    if (!(error instanceof MixtabError && error.code === 'source-unreachable')) throw error;
    throw missingParts(name, count, [part - 1], `out of reach (${error.message.replace(/\.$/, '')})`);
  }
}
