/**
 * Parses the bytes of a GGUF's header, versions 2 and 3. The format is described in ggml's docs/gguf.md.
 *
 * The parser of @huggingface/gguf is not used because it drops U+FEFF at the beginning of strings. Vocabularies that
 * contain it (Llama's and Mixtral's do) would lose tokens. See docs/import.md.
 */
import { excerpt } from '../../../src/contract/errors.ts';

/**
 * Limits of the counts in a header. Model files may be hostile: without limits, a few bytes could claim a count that
 * makes us allocate gigabytes or loop for minutes. Each limit is well above the largest known file.
 */
const LIMITS = {
  /** Metadata keys. Attack: millions of empty keys. Real files have a few dozen. */
  keys: 10_000,
  /**
   * Tensors. Attack: millions of empty entries. Mixtral 8x22B in the per-expert layout has 1739.
   */
  tensors: 60_000,
  /**
   * Entries of all lists together. Attack: each byte of a list of bytes becomes a JavaScript value, and each empty text
   * an object. Mistral's largest vocabulary has 131,072 tokens, and four lists with one entry per token.
   */
  listEntries: 2_000_000,
  /**
   * Bytes of a text. Attack: texts end up in the manifest and in the page. The longest real ones are chat templates, of
   * some ten kilobytes.
   */
  stringBytes: 1_000_000,
  /** Dimensions of a tensor. Attack: the shape is allocated before it is read. ggml itself supports 4. */
  dimensions: 4,
} as const;

/** An entry of the tensor table as the file has it. */
export interface RawTensor {
  name: string;
  /** As ggml orders it: `shape[0]` is the width of a row. */
  shape: number[];
  ggmlType: number;
  /** Bytes from the start of the data section. */
  offset: number;
}

/** A header as the file has it. Offsets are not checked. */
export interface RawHeader {
  metadata: Record<string, unknown>;
  tensors: RawTensor[];
  /** Bytes from the start of the file to the end of the tensor table. */
  end: number;
}

/** The bytes end within the header: either more bytes must be read, or the file is truncated. */
export class HeaderIncomplete extends Error {}

/** The header is damaged. The message is the end of a sentence: "its GGUF version is 9". */
export class HeaderInvalid extends Error {}

/**
 * Parses metadata and tensor table.
 * @param bytes the beginning of the file, including the magic, which is not checked here
 * @throws HeaderIncomplete if the bytes end within the header, HeaderInvalid if the header is damaged
 */
export function parseHeader(bytes: Uint8Array): RawHeader {
  // A first pass finds out whether the header is complete. Decoding the texts of an incomplete one would take longer.
  parse(new Cursor(bytes, false));
  return parse(new Cursor(bytes, true));
}

function parse(cursor: Cursor): RawHeader {
  cursor.skip(4); // the magic
  const version = cursor.u32();
  if (version === 0x02000000 || version === 0x03000000)
    throw new HeaderInvalid('it is big-endian, which mixtab does not support');
  if (version !== 2 && version !== 3) throw new HeaderInvalid(`its GGUF version is ${version}, not 2 or 3`);
  const tensorCount = cursor.count(LIMITS.tensors, 'tensors');
  const keyCount = cursor.count(LIMITS.keys, 'metadata keys');
  // Without a prototype, a key named `__proto__` is an ordinary key.
  const metadata: Record<string, unknown> = Object.create(null);
  for (let i = 0; i < keyCount; i++) {
    const key = cursor.string();
    if (key in metadata) throw new HeaderInvalid(`it has the metadata key ${excerpt(key)} twice`);
    metadata[key] = cursor.value(cursor.u32(), key);
  }
  const tensors = readTensors(cursor, tensorCount);
  return { metadata, tensors, end: cursor.at };
}

/** The tensor table. Two tensors of one name are refused, because either could be the one that was meant. */
function readTensors(cursor: Cursor, count: number): RawTensor[] {
  const tensors: RawTensor[] = [];
  const names = new Set<string>();
  for (let i = 0; i < count; i++) {
    const tensor = cursor.tensor();
    if (names.has(tensor.name)) throw new HeaderInvalid(`it has the tensor ${excerpt(tensor.name)} twice`);
    names.add(tensor.name);
    tensors.push(tensor);
  }
  return tensors;
}

/** Texts of at most this many bytes are decoded without a TextDecoder if they are ASCII. */
const SHORT = 16;

/** Reads little-endian values one after another. Every method throws HeaderIncomplete at the end of the bytes. */
class Cursor {
  at = 0;
  #listEntries = 0;
  readonly #view: DataView;
  // U+FEFF at the beginning of a string is part of a token. By default it would be dropped as a byte order mark.
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });

  /** @param decodesTexts false to read texts in values as empty texts */
  constructor(
    private readonly bytes: Uint8Array,
    private readonly decodesTexts: boolean,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Moves on by `length` bytes and returns where they begin. */
  skip(length: number): number {
    const start = this.at;
    if (start + length > this.bytes.byteLength) throw new HeaderIncomplete();
    this.at += length;
    return start;
  }

  u32(): number {
    return this.#view.getUint32(this.skip(4), true);
  }

  /**
   * A 64-bit count.
   * @param what the things counted, for the error message
   * @throws HeaderInvalid above `limit`
   */
  count(limit: number, what: string): number {
    const at = this.skip(8);
    // Two halves are read several times faster than one BigInt. Above 2^53 the sum is inexact, but above any limit.
    const value = this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * 2 ** 32;
    if (value <= limit) return value;
    const claimed = this.#view.getBigUint64(at, true);
    throw new HeaderInvalid(`it claims ${claimed} ${what}, more than the limit of ${limit}`);
  }

  string(): string {
    const length = this.count(LIMITS.stringBytes, 'bytes for one text');
    const start = this.skip(length);
    if (length <= SHORT) return this.#shortText(start, start + length);
    return this.#decoder.decode(this.bytes.subarray(start, start + length));
  }

  #skipString(): string {
    this.skip(this.count(LIMITS.stringBytes, 'bytes for one text'));
    return '';
  }

  /** Most texts are short and ASCII. Calling the decoder for each of a million tokens would take most of the time. */
  #shortText(start: number, end: number): string {
    const codes: number[] = [];
    for (let i = start; i < end; i++) {
      if (this.bytes[i] >= 0x80) return this.#decoder.decode(this.bytes.subarray(start, end));
      codes.push(this.bytes[i]);
    }
    return String.fromCharCode(...codes);
  }

  /** One entry of the tensor table. */
  tensor(): RawTensor {
    const name = this.string();
    const shown = excerpt(name);
    const dimensions = this.u32();
    if (dimensions > LIMITS.dimensions) throw new HeaderInvalid(`tensor ${shown} has ${dimensions} dimensions`);
    const shape = Array.from({ length: dimensions }, () =>
      this.count(Number.MAX_SAFE_INTEGER, `weights per row of tensor ${shown}`),
    );
    const ggmlType = this.u32();
    return { name, shape, ggmlType, offset: this.count(Number.MAX_SAFE_INTEGER, `bytes before tensor ${shown}`) };
  }

  /** A metadata value. `type` is the format's number for its type. 64-bit integers become JavaScript numbers. */
  value(type: number, key: string): unknown {
    switch (type) {
      case 0:
        return this.#view.getUint8(this.skip(1));
      case 1:
        return this.#view.getInt8(this.skip(1));
      case 2:
        return this.#view.getUint16(this.skip(2), true);
      case 3:
        return this.#view.getInt16(this.skip(2), true);
      case 4:
        return this.u32();
      case 5:
        return this.#view.getInt32(this.skip(4), true);
      case 6:
        return this.#view.getFloat32(this.skip(4), true);
      case 7:
        return this.#view.getUint8(this.skip(1)) !== 0;
      case 8:
        return this.decodesTexts ? this.string() : this.#skipString();
      case 9:
        return this.#array(key);
      case 10:
        return Number(this.#view.getBigUint64(this.skip(8), true));
      case 11:
        return Number(this.#view.getBigInt64(this.skip(8), true));
      case 12:
        return this.#view.getFloat64(this.skip(8), true);
      default:
        throw new HeaderInvalid(`metadata key ${excerpt(key)} has the unknown type ${type}`);
    }
  }

  #array(key: string): unknown[] {
    const type = this.u32();
    // The format allows lists of lists, but no model has them. Refusing them bounds the recursion.
    if (type === 9) throw new HeaderInvalid(`metadata key ${excerpt(key)} is a list of lists`);
    const length = this.count(LIMITS.listEntries, `entries of ${excerpt(key)}`);
    this.#listEntries += length;
    if (this.#listEntries > LIMITS.listEntries) {
      throw new HeaderInvalid(`its lists have more than ${LIMITS.listEntries} entries`);
    }
    const items: unknown[] = [];
    for (let i = 0; i < length; i++) items.push(this.value(type, key));
    return items;
  }
}
