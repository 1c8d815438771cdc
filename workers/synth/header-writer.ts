/** Writes a GGUF header, version 3: metadata and tensor table. */
import type { Bytes } from '../../src/contract/ids.ts';

/** A metadata value, tagged with its type in the file. The plural tags are lists. */
export type MetadataValue =
  | { u16: number }
  | { i32: number }
  | { u32: number }
  | { f32: number }
  | { bool: boolean }
  | { string: string }
  | { strings: readonly string[] }
  | { i32s: readonly number[] }
  | { f32s: readonly number[] };

/** An entry of the tensor table. */
export interface TensorEntry {
  name: string;
  /** As ggml orders it: the row's width first. */
  shape: readonly number[];
  ggmlType: number;
  /** Bytes of the tensor's data, padding excluded. */
  bytes: Bytes;
}

/** Tensors begin at multiples of this, the format's default. */
export const ALIGNMENT = 32;

/** The format's numbers for the types of metadata values. */
const TYPE = { u16: 2, u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;

/** Rounds up to a multiple of ALIGNMENT. */
export const alignUp = (n: number): number => Math.ceil(n / ALIGNMENT) * ALIGNMENT;

const NO_BYTES = new Uint8Array();

/** Appends little-endian values to a buffer that grows. */
class Writer {
  #bytes = new Uint8Array(1 << 16);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  readonly #encoder = new TextEncoder();

  u16(value: number): void {
    const at = this.#reserve(2);
    this.#view.setUint16(at, value, true);
  }
  u32(value: number): void {
    const at = this.#reserve(4);
    this.#view.setUint32(at, value, true);
  }
  i32(value: number): void {
    const at = this.#reserve(4);
    this.#view.setInt32(at, value, true);
  }
  f32(value: number): void {
    const at = this.#reserve(4);
    this.#view.setFloat32(at, value, true);
  }
  /** @param value a whole number that is not negative */
  u64(value: number): void {
    const at = this.#reserve(8);
    this.#view.setUint32(at, value % 2 ** 32, true);
    this.#view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
  }
  bool(value: boolean): void {
    const at = this.#reserve(1);
    this.#view.setUint8(at, value ? 1 : 0);
  }
  string(text: string): void {
    const bytes = text === '' ? NO_BYTES : this.#encoder.encode(text); // which takes a microsecond
    this.u64(bytes.length);
    if (bytes.length === 0) return;
    const at = this.#reserve(bytes.length);
    this.#bytes.set(bytes, at);
  }
  /** The bytes so far, padded to a multiple of ALIGNMENT. */
  finish(): Uint8Array<ArrayBuffer> {
    this.#reserve(alignUp(this.#length) - this.#length);
    return this.#bytes.slice(0, this.#length);
  }
  /** Appends this many zero bytes and returns their offset. */
  #reserve(bytes: number): number {
    const at = this.#length;
    this.#length += bytes;
    while (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(this.#bytes.length * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
}

/**
 * @param metadata as an object, or as entries if a key shall occur twice
 * @returns the header, padded so that the data of the first tensor may follow. Tensors follow in order, each aligned.
 */
export function writeHeader(
  metadata: Record<string, MetadataValue> | readonly [key: string, value: MetadataValue][],
  tensors: readonly TensorEntry[],
): Uint8Array<ArrayBuffer> {
  const out = new Writer();
  out.u32(0x46554747); // "GGUF"
  out.u32(3);
  out.u64(tensors.length);
  const entries = Array.isArray(metadata) ? metadata : Object.entries(metadata);
  out.u64(entries.length);
  for (const [key, value] of entries) {
    out.string(key);
    writeValue(out, value);
  }
  let offset = 0;
  for (const { name, shape, ggmlType, bytes } of tensors) {
    out.string(name);
    out.u32(shape.length);
    for (const n of shape) out.u64(n);
    out.u32(ggmlType);
    out.u64(offset);
    offset += alignUp(bytes);
  }
  return out.finish();
}

function writeValue(out: Writer, value: MetadataValue): void {
  const list = <T>(type: number, items: readonly T[], write: (item: T) => void): void => {
    out.u32(TYPE.array);
    out.u32(type);
    out.u64(items.length);
    for (const item of items) write(item);
  };
  if ('u16' in value) {
    out.u32(TYPE.u16);
    out.u16(value.u16);
  } else if ('i32' in value) {
    out.u32(TYPE.i32);
    out.i32(value.i32);
  } else if ('u32' in value) {
    out.u32(TYPE.u32);
    out.u32(value.u32);
  } else if ('f32' in value) {
    out.u32(TYPE.f32);
    out.f32(value.f32);
  } else if ('bool' in value) {
    out.u32(TYPE.bool);
    out.bool(value.bool);
  } else if ('string' in value) {
    out.u32(TYPE.string);
    out.string(value.string);
  } else if ('strings' in value) list(TYPE.string, value.strings, (item) => out.string(item));
  else if ('i32s' in value) list(TYPE.i32, value.i32s, (item) => out.i32(item));
  else list(TYPE.f32, value.f32s, (item) => out.f32(item));
}
