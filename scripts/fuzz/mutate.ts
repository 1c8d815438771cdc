/** Seeded changes to a GGUF: of single bytes, of ranges, and of its metadata and tensor table. */
import type { Random } from '../random.ts';
import { concatenate, type Entry, type GgufParts, putTogether, type Tensor, takeApart } from './gguf-parts.ts';

/** Numbers at which counts, sizes and ids go wrong. */
const EDGES = [
  0n,
  1n,
  2n,
  7n,
  255n,
  256n,
  65_536n,
  1_000_000n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 53n,
  2n ** 53n + 1n,
  2n ** 63n,
  2n ** 64n - 1n,
];

const u64Bytes = (value: bigint): Uint8Array => new Uint8Array(BigUint64Array.of(value).buffer);
const textValue = (text: string): Entry => {
  const bytes = new TextEncoder().encode(text);
  return { key: '', type: 8, raw: concatenate([u64Bytes(BigInt(bytes.length)), bytes]) };
};

/** A value of a random type, at or beyond the edge of what makes sense. */
function oddValue(random: Random): Omit<Entry, 'key'> {
  const edge = random.pick(EDGES);
  return random.pick<() => Omit<Entry, 'key'>>([
    () => ({ type: 4, raw: u64Bytes(edge).slice(0, 4) }),
    () => ({ type: 5, raw: new Uint8Array(Int32Array.of(-random.below(3)).buffer) }),
    () => ({ type: random.pick([10, 11]), raw: u64Bytes(edge) }),
    () => ({ type: 6, raw: new Uint8Array(Float32Array.of(random.pick(ODD_FLOATS)).buffer) }),
    () => ({ type: 12, raw: new Uint8Array(Float64Array.of(random.pick(ODD_FLOATS)).buffer) }),
    () => ({ type: 7, raw: Uint8Array.of(random.below(256)) }),
    () => textValue('é'.repeat(random.pick([0, 1, 300, 30_000]))),
    () => listOf(random.pick([0, 1, 4, 6, 8]), random.pick([0, 1, 600, 20_000])),
  ])();
}

const ODD_FLOATS = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -1, 0.5, 1e30, 1e-40];

/** A list of zeros or empty texts. */
function listOf(itemType: number, length: number): Omit<Entry, 'key'> {
  const itemBytes = [1, 1, 2, 2, 4, 4, 4, 1, 8][itemType];
  const head = new Uint8Array(Uint32Array.of(itemType).buffer);
  return { type: 9, raw: concatenate([head, u64Bytes(BigInt(length)), new Uint8Array(itemBytes * length)]) };
}

type ChangeParts = (parts: GgufParts, random: Random) => void;

const changeTensor = (change: (tensor: Tensor, parts: GgufParts, random: Random) => void): ChangeParts => {
  return (parts, random) => {
    if (parts.tensors.length === 0) return;
    const index = random.below(parts.tensors.length);
    parts.tensors[index] = { ...parts.tensors[index] };
    change(parts.tensors[index], parts, random);
  };
};

const NAMES = ['', '__proto__', 'constructor', 'blk.0.attn_q.weight', 'blk.0.attn_qkv.weight', 'blk.0.ffn_up.0.weight'];

/** Changes of metadata and tensors. The result is a well-formed header with contents that make less sense. */
const STRUCTURAL: readonly ChangeParts[] = [
  ({ entries }, random) => {
    const index = random.below(entries.length);
    entries[index] = { ...oddValue(random), key: entries[index].key };
  },
  ({ entries }, random) => void entries.splice(random.below(entries.length), 1),
  ({ entries }, random) => void entries.push(random.pick(entries)),
  ({ entries }, random) => {
    const index = random.below(entries.length);
    entries[index] = { ...entries[index], key: random.pick([...NAMES, random.pick(entries).key, 'k'.repeat(9000)]) };
  },
  ({ entries }, random) => {
    // Numbers and texts of the vocabulary: any bytes within its lists.
    const index = entries.findIndex(({ key }) => key.startsWith('tokenizer.ggml.')) + random.below(8);
    const entry = entries[Math.min(index, entries.length - 1)];
    if (!entry || entry.raw.length < 13) return;
    const raw = entry.raw.slice();
    for (let n = random.below(9); n >= 0; n--) raw[12 + random.below(raw.length - 12)] = random.below(256);
    entries[entries.indexOf(entry)] = { ...entry, raw };
  },
  ({ tensors }, random) => void tensors.splice(random.below(tensors.length), 1),
  ({ tensors }, random) => void tensors.push(random.pick(tensors)),
  changeTensor((tensor, { tensors }, random) => {
    tensor.name = random.pick([...NAMES, random.pick(tensors).name, 't'.repeat(9000)]);
  }),
  changeTensor((tensor, _, random) => {
    tensor.shape = [...tensor.shape];
    if (tensor.shape.length > 0) tensor.shape[random.below(tensor.shape.length)] = random.pick(EDGES);
  }),
  changeTensor((tensor, _, random) => {
    tensor.shape = Array.from({ length: random.below(6) }, () => random.pick([1n, 2n, 32n, 64n, random.pick(EDGES)]));
  }),
  changeTensor((tensor, _, random) => {
    tensor.type = random.pick([random.below(45), Number(random.pick(EDGES) & 0xffffffffn)]);
  }),
  changeTensor((tensor, _, random) => {
    tensor.offset = random.pick([random.pick(EDGES), BigInt(random.below(60_000)), BigInt(32 * random.below(2000))]);
  }),
  changeTensor((tensor, _, random) => {
    // NaN, infinity and any other bits at any place of the weights.
    tensor.data = tensor.data.slice();
    const at = random.below(tensor.data.length);
    tensor.data.fill(random.pick([0, 0x7c, 0x7e, 0xff, random.below(256)]), at, at + 1 + random.below(64));
  }),
  changeTensor((tensor, _, random) => {
    tensor.data = tensor.data.subarray(0, random.below(tensor.data.length));
  }),
];

type ChangeBytes = (bytes: Uint8Array<ArrayBuffer>, random: Random) => Uint8Array<ArrayBuffer>;

/** Half of all changes hit the first kilobytes, where counts, keys and types are. */
const positionIn = (bytes: Uint8Array, random: Random): number =>
  random.below(random.fraction() < 0.5 ? Math.min(3000, bytes.length) : bytes.length);

/** Changes of bytes, without regard to what they mean. */
const BYTEWISE: readonly ChangeBytes[] = [
  (bytes, random) => {
    for (let n = random.below(8); n >= 0; n--) bytes[positionIn(bytes, random)] = random.below(256);
    return bytes;
  },
  (bytes, random) => {
    const at = positionIn(bytes, random);
    bytes[at] ^= 1 << random.below(8);
    return bytes;
  },
  (bytes, random) => {
    bytes.set(u64Bytes(random.pick(EDGES)).subarray(0, bytes.length), positionIn(bytes.subarray(8), random));
    return bytes;
  },
  (bytes, random) => bytes.slice(0, random.below(bytes.length)),
  (bytes, random) => concatenate([bytes, new Uint8Array(random.below(5000))]),
  (bytes, random) => {
    // A range is removed, repeated or moved.
    const [from, to] = [positionIn(bytes, random), positionIn(bytes, random)].sort((a, b) => a - b);
    const [before, range, after] = [bytes.subarray(0, from), bytes.subarray(from, to), bytes.subarray(to)];
    return concatenate(
      random.pick([
        [before, after],
        [before, range, range, after],
        [before, after, range],
      ]),
    );
  },
];

/** A GGUF with one to four random changes. */
export function mutate(original: Uint8Array<ArrayBuffer>, random: Random): Uint8Array<ArrayBuffer> {
  let bytes = original.slice();
  if (random.fraction() < 0.6) {
    const parts = takeApart(bytes);
    for (let n = random.below(3); n >= 0; n--) {
      if (parts.entries.length > 0) random.pick(STRUCTURAL)(parts, random);
    }
    bytes = putTogether(parts);
    if (random.fraction() < 0.8) return bytes;
  }
  for (let n = random.below(2); n >= 0; n--) if (bytes.length > 0) bytes = random.pick(BYTEWISE)(bytes, random);
  return bytes;
}
