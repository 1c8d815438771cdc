/**
 * Parses the bytes of a GGUF's header (format: ggml's docs/gguf.md, versions 2 and 3).
 *
 * Our own, although @huggingface/gguf exists: that one drops U+FEFF at the beginning of strings, so a
 * vocabulary that holds it (Llama's and Mixtral's do) loses tokens. See docs/import.md.
 */

/** A model file is hostile until proven otherwise: each limit is some times what the largest known file has. */
const LIMITS = {
  /** Real files have some dozens. */
  keys: 10_000,
  /** Mixtral 8x22B in the old layout: 1739. */
  tensors: 100_000,
  /** Vocabularies and merge lists; Mistral's largest vocabulary has 131 072 tokens. */
  arrayLength: 4_000_000,
  /** Chat templates are the longest texts. */
  stringBytes: 4_000_000,
  dimensions: 4,
} as const;

export interface RawTensor {
  name: string;
  shape: number[];
  ggmlType: number;
  /** From the start of the data section. */
  offset: number;
}

export interface RawHeader {
  metadata: Record<string, unknown>;
  tensors: RawTensor[];
  /** Where the tensor table ends. */
  end: number;
}

/** The bytes end within the header: give more, or there are no more. */
export class HeaderIncomplete extends Error {}

/** What is wrong with the header, as the end of a sentence. */
export class HeaderInvalid extends Error {}

/**
 * @param bytes the beginning of the file, its magic included
 * @throws HeaderIncomplete, HeaderInvalid
 */
export function parseHeader(bytes: Uint8Array): RawHeader {
  const cursor = new Cursor(bytes);
  cursor.skip(4); // the magic
  const version = cursor.u32();
  if (version === 0x02000000 || version === 0x03000000)
    throw new HeaderInvalid('it is big-endian, which mixtab does not read');
  if (version !== 2 && version !== 3) throw new HeaderInvalid(`its GGUF version is ${version}, not 2 or 3`);
  const tensorCount = cursor.count(LIMITS.tensors, 'tensors');
  const keyCount = cursor.count(LIMITS.keys, 'metadata keys');
  const metadata: Record<string, unknown> = {};
  for (let i = 0; i < keyCount; i++) {
    const key = cursor.string();
    metadata[key] = cursor.value(cursor.u32(), key);
  }
  const tensors = Array.from({ length: tensorCount }, () => cursor.tensor());
  return { metadata, tensors, end: cursor.at };
}

class Cursor {
  at = 0;
  readonly #view: DataView;
  // A byte order mark is part of a token, not of the encoding.
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });

  constructor(private readonly bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  skip(length: number): number {
    const start = this.at;
    if (start + length > this.bytes.byteLength) throw new HeaderIncomplete();
    this.at += length;
    return start;
  }

  u32(): number {
    return this.#view.getUint32(this.skip(4), true);
  }

  /** A number that says how much follows. */
  count(limit: number, what: string): number {
    const value = this.#view.getBigUint64(this.skip(8), true);
    if (value > BigInt(limit))
      throw new HeaderInvalid(`it claims ${value} ${what}, more than the ${limit} that mixtab reads`);
    return Number(value);
  }

  string(): string {
    const length = this.count(LIMITS.stringBytes, 'bytes of one text');
    const start = this.skip(length);
    return this.#decoder.decode(this.bytes.subarray(start, start + length));
  }

  tensor(): RawTensor {
    const name = this.string();
    const dimensions = this.u32();
    if (dimensions > LIMITS.dimensions) throw new HeaderInvalid(`tensor ${name} has ${dimensions} dimensions`);
    const shape = Array.from({ length: dimensions }, () =>
      this.count(Number.MAX_SAFE_INTEGER, `weights in a row of tensor ${name}`),
    );
    const ggmlType = this.u32();
    return { name, shape, ggmlType, offset: this.count(Number.MAX_SAFE_INTEGER, `bytes before tensor ${name}`) };
  }

  /** A metadata value of the type with this number; 64-bit numbers come as JavaScript numbers. */
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
        return this.string();
      case 9:
        return this.#array(key);
      case 10:
        return Number(this.#view.getBigUint64(this.skip(8), true));
      case 11:
        return Number(this.#view.getBigInt64(this.skip(8), true));
      case 12:
        return this.#view.getFloat64(this.skip(8), true);
      default:
        throw new HeaderInvalid(`metadata key ${key} has the unknown type ${type}`);
    }
  }

  #array(key: string): unknown[] {
    const type = this.u32();
    // Arrays of arrays exist in the format, not in models; refusing them bounds the recursion.
    if (type === 9) throw new HeaderInvalid(`metadata key ${key} is a list of lists`);
    const length = this.count(LIMITS.arrayLength, `entries of ${key}`);
    const items: unknown[] = [];
    for (let i = 0; i < length; i++) items.push(this.value(type, key));
    return items;
  }
}
