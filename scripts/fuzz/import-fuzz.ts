/**
 * Imports mutated files and looks at how it ends: with a model, or with an error that has a `gguf-` code and a message
 * of bounded length. Everything from the header to the tokenizer runs; the store is in memory.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { MixtabError } from '../../src/contract/errors.ts';
import { PRE_TOKENIZERS } from '../../workers/format/pre-tokenizers.ts';
import { BlobByteSource } from '../../workers/import/byte-source.ts';
import { openFiles } from '../../workers/import/model-source.ts';
import { importSource } from '../../workers/import/testing.ts';
import { MemoryStore } from '../../workers/store/memory-store.ts';
import { SYNTH_PRESETS } from '../../workers/synth/presets.ts';
import { createSplitSynth, createSynth, type SynthOptions, uniformTypes } from '../../workers/synth/synth.ts';
import { createTokenizer } from '../../workers/text/create-tokenizer.ts';
import { Random } from '../random.ts';
import { mutate } from './mutate.ts';

/** Most processor time of one file, in seconds. */
const MAX_SECONDS = 1;
/** Most memory that may be in use after all files beyond that after the first tenth, in MB. */
export const MAX_ADDED_MB = 50;
/** Longest message of an error. Texts from a file are cut to 100 characters, and a message quotes at most four. */
const MAX_MESSAGE = 700;
/** Bytes of all records per byte of the file. In plain types, each row is padded to 32 weights. */
const MAX_GROWTH = 40;

const SMALL: SynthOptions = {
  ...SYNTH_PRESETS.tiny,
  layers: 1,
  embeddingLength: 32,
  feedForwardLength: 32,
  headCount: 2,
  kvHeadCount: 1,
  expertCount: 2,
  vocabularySize: 400,
  types: uniformTypes('Q8_0'),
};

/** The files that are mutated, each in one part or several. */
function seedFiles(): Uint8Array<ArrayBuffer>[][] {
  const whole = (options: SynthOptions): Uint8Array<ArrayBuffer>[] => {
    const { read, size } = createSynth(options);
    return [read(0, size)];
  };
  const pre = Object.keys(PRE_TOKENIZERS).at(-1)!;
  return [
    whole(SMALL),
    whole({ ...SMALL, layout: 'per-expert', types: uniformTypes('F16') }),
    whole({
      ...SMALL,
      layout: 'fused',
      fusedQkv: true,
      types: uniformTypes('MXFP4'),
      ropeFactors: new Array(8).fill(1),
    }),
    whole({ ...SMALL, vocabularySize: 704, pre, userDefined: ['[INST]', '  '] }),
    whole({ ...SMALL, embeddingLength: 256, feedForwardLength: 256, types: uniformTypes('Q2_K') }),
    createSplitSynth(SMALL, 2).map(({ read, size }) => read(0, size)),
  ];
}

/** How a file ended. */
export interface FileResult {
  /** Code of the error, or "imported". */
  outcome: string;
  /** What should not have happened. */
  fault?: string;
}

/** Memory in use after a garbage collection, in MB: objects and buffers. */
export function memoryInUse(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { heapUsed, external } = process.memoryUsage();
  return Math.round((heapUsed + external) / 1e6);
}

/** Imports one file, and lets its tokenizer encode and decode. */
async function importFile(parts: readonly Uint8Array<ArrayBuffer>[]): Promise<FileResult> {
  const store = new MemoryStore();
  try {
    const files = parts.map((part, n) => ({ blob: new Blob([part]), name: `x-0000${n + 1}-of-00002.gguf` }));
    const source = parts.length > 1 ? await openFiles(files) : new BlobByteSource(files[0].blob, 'x.gguf');
    const { id, storedBytes } = await importSource(store, source);
    if (storedBytes > MAX_GROWTH * source.size) return { outcome: 'imported', fault: `${storedBytes} bytes stored` };
    const tokenizer = createTokenizer((await store.getManifest(id))!.tokenizer);
    const ids = tokenizer.encode('the first [INST] men\u0000 été 12', { addBos: true, parseSpecial: true });
    const wrong = ids.find((token) => !(token >= 0 && token < tokenizer.vocabularySize));
    if (wrong !== undefined) return { outcome: 'imported', fault: `encoded to token ${wrong}` };
    for (const token of ids) tokenizer.bytesOf(token);
    return { outcome: 'imported' };
  } catch (error) {
    if (!(error instanceof MixtabError)) return { outcome: 'untyped', fault: (error as Error).stack ?? String(error) };
    const { code, message } = error;
    if (!code.startsWith('gguf-')) return { outcome: code, fault: message };
    if (message.length > MAX_MESSAGE) return { outcome: code, fault: `a message of ${message.length} characters` };
    if ((await store.listManifests()).length > 0) return { outcome: code, fault: 'a model is listed after an error' };
    return { outcome: code };
  }
}

/**
 * Imports mutated files one after another.
 * @param seed of the first file; file number n depends only on the seed and on n
 * @param onFile called after each file with its number, and the processor time that it took, in seconds
 */
export async function fuzzImports(
  { seed, first = 0, count }: { seed: number; first?: number; count: number },
  onFile: (number: number, result: FileResult, seconds: number) => void,
): Promise<void> {
  const seeds = seedFiles();
  for (let number = first; number < first + count; number++) {
    const random = new Random(Math.imul(seed, 0x9e3779b1) + number);
    const parts = [...random.pick(seeds)];
    const index = random.below(parts.length);
    parts[index] = mutate(parts[index], random);
    const before = process.cpuUsage();
    const result = await importFile(parts);
    const { user, system } = process.cpuUsage(before);
    const seconds = (user + system) / 1e6;
    const isSlow = result.fault === undefined && seconds > MAX_SECONDS;
    onFile(number, isSlow ? { ...result, fault: `took ${seconds.toFixed(1)} s` } : result, seconds);
  }
}
