/** Takes a GGUF apart and puts it together again, whatever is wrong with it then. */

/** A metadata entry. `raw` is the value's bytes, without its type. */
export interface Entry {
  key: string;
  type: number;
  raw: Uint8Array;
}

/** An entry of the tensor table, with the tensor's bytes. */
export interface Tensor {
  name: string;
  /** As in the table; 64-bit numbers. */
  shape: bigint[];
  type: number;
  data: Uint8Array;
  /** Replaces the offset that follows from the order of the tensors. */
  offset?: bigint;
}

/** A GGUF in parts. */
export interface GgufParts {
  entries: Entry[];
  tensors: Tensor[];
}

const ALIGNMENT = 32;
/** Bytes of a value of each metadata type; texts (8) and lists (9) have none. */
const VALUE_BYTES = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];
const alignUp = (n: number): number => Math.ceil(n / ALIGNMENT) * ALIGNMENT;
const encoder = new TextEncoder();

/** Takes a well-formed GGUF apart. Its tensors must be in the order of their offsets. */
export function takeApart(bytes: Uint8Array): GgufParts {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 8;
  const moveBy = (length: number): number => {
    at += length;
    return at - length;
  };
  const u32 = (): number => view.getUint32(moveBy(4), true);
  const u64 = (): bigint => view.getBigUint64(moveBy(8), true);
  const text = (): string => {
    const length = Number(u64());
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(moveBy(length), at));
  };
  const skipValue = (type: number): void => {
    if (type === 8) moveBy(Number(u64()));
    else if (type === 9) {
      const itemType = u32();
      for (let n = Number(u64()); n > 0; n--) skipValue(itemType);
    } else moveBy(VALUE_BYTES[type]);
  };
  const [tensorCount, entryCount] = [Number(u64()), Number(u64())];
  const entries = Array.from({ length: entryCount }, (): Entry => {
    const [key, type, from] = [text(), u32(), at];
    skipValue(type);
    return { key, type, raw: bytes.slice(from, at) };
  });
  const table = Array.from({ length: tensorCount }, () => ({
    name: text(),
    shape: Array.from({ length: u32() }, u64),
    type: u32(),
    start: Number(u64()),
  }));
  const dataStart = alignUp(at);
  const tensors = table.map(({ start, ...tensor }, n) => ({
    ...tensor,
    data: bytes.slice(dataStart + start, n + 1 < table.length ? dataStart + table[n + 1].start : bytes.length),
  }));
  return { entries, tensors };
}

/** The bytes of a GGUF with these parts; every tensor begins at a multiple of 32. */
export function putTogether({ entries, tensors }: GgufParts): Uint8Array<ArrayBuffer> {
  const chunks: Uint8Array[] = [];
  const u32 = (value: number): number => chunks.push(new Uint8Array(Uint32Array.of(value).buffer));
  const u64 = (value: bigint): number => chunks.push(new Uint8Array(BigUint64Array.of(value).buffer));
  const text = (value: string): void => {
    const bytes = encoder.encode(value);
    u64(BigInt(bytes.length));
    chunks.push(bytes);
  };
  const pad = (length: number): number => chunks.push(new Uint8Array(alignUp(length) - length));
  u32(0x46554747); // "GGUF"
  u32(3);
  u64(BigInt(tensors.length));
  u64(BigInt(entries.length));
  for (const { key, type, raw } of entries) {
    text(key);
    u32(type);
    chunks.push(raw);
  }
  let end = 0;
  for (const { name, shape, type, data, offset } of tensors) {
    text(name);
    u32(shape.length);
    for (const n of shape) u64(n);
    u32(type);
    u64(offset ?? BigInt(end));
    end += alignUp(data.length);
  }
  pad(chunks.reduce((sum, { length }) => sum + length, 0));
  for (const { data } of tensors) {
    chunks.push(data);
    pad(data.length);
  }
  return concatenate(chunks);
}

/** The bytes of several arrays, one after another. */
export function concatenate(chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
