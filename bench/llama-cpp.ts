/**
 * mixtab beside llama.cpp with the same GGUF file: rates of prefill and decode in tokens per second. All contenders
 * keep the model loaded and take turns, so that other work on the machine affects all of them.
 *
 *   npx tsx bench/llama-cpp.ts --model FILE|builtin [--rounds 3] [--prompts 64,512] [--tokens 64] [--threads 2]
 *                              [--mixtab-threads N] [--gpu] [--native] [--json]
 *
 * Contenders: llama.cpp in WebAssembly (wllama), and mixtab on the CPU, each in a Chromium of its own with the same
 * flags. `--threads 1,2` measures llama.cpp with both numbers of threads: a small model, or a busy machine, can be
 * several times as fast with one. mixtab decides by itself unless `--mixtab-threads` is given. `--gpu` adds mixtab on
 * WebGPU, which is the software adapter on a machine without a GPU. `--native` adds llama.cpp as native code, if it is
 * installed: npm install --no-save node-llama-cpp@3
 *
 * A prompt has exactly as many tokens as `--prompts` says, including BOS, but leaves room for the answer in the model's
 * context. Successive prompts begin with different words, so that at most a few of their tokens are in the KV cache.
 * Those do not count. Decode is measured after the first length of `--prompts`, with greedy sampling and past the
 * end-of-sequence token. The first round is a warm-up. Ratios compare medians.
 *
 * bench/first-start.ts measures a cold start of the built-in model. A synthetic model to measure:
 *   npm run -s mixtab -- synth --preset 8x7b --layers 8 --dim 512 --ffn 1792 --heads 8 --kv-heads 2 --type Q4_K \
 *     --out FILE
 */
import { existsSync, openAsBlob } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { readConfig } from '../workers/format/gguf/config.ts';
import { readHeader } from '../workers/format/gguf/header.ts';
import { readTokenizer } from '../workers/format/gguf/tokenizer-data.ts';
import { openFiles } from '../workers/import/model-source.ts';
import { createTokenizer } from '../workers/text/create-tokenizer.ts';
import {
  type Contender,
  importNodeLlamaCpp,
  llamaCppNative,
  llamaCppWasm,
  mixtab,
  type Opener,
  type Setup,
} from './contenders.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    prompts: { type: 'string', default: '64,512' },
    tokens: { type: 'string', default: '64' },
    threads: { type: 'string', default: '2' },
    'mixtab-threads': { type: 'string' },
    gpu: { type: 'boolean', default: false },
    native: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
if (values.model === undefined) throw new Error('--model is missing. Pass the path of a GGUF file, or builtin.');
const path =
  values.model === 'builtin' ? join(import.meta.dirname, '..', 'public', 'models', 'builtin.gguf') : values.model;
if (!existsSync(path)) throw new Error(`There is no file ${path}. Pass the path of a GGUF file, or builtin.`);
const rounds = Number(values.rounds);
const tokens = Number(values.tokens);
const source = await openFiles([{ blob: await openAsBlob(path), name: basename(path) }]);
const { metadata } = await readHeader(source);
const { contextLength } = readConfig(source.name, metadata);
const lengths = values.prompts.split(',').map((length) => Math.min(Number(length), contextLength - tokens));
const setup: Setup = {
  path,
  model: values.model === 'builtin' ? { kind: 'builtin' } : { kind: 'file', path },
  context: Math.max(...lengths) + tokens,
};
const llamaThreads = values.threads.split(',').map(Number);
const mixtabThreads = values['mixtab-threads'] === undefined ? undefined : Number(values['mixtab-threads']);

/** Rates in tokens per second, in the order of the rounds. */
type Rates = number[];
/** What is measured: `prefill of 64 tokens`, `decode`. */
type Measured = Map<string, Rates>;

const WORDS = 'time year people way day man thing woman life child world school state family student group'.split(' ');

/** Makes texts with an exact number of tokens, including BOS, for the model's tokenizer. */
function promptMaker(): (length: number, seed: number) => string {
  const tokenizer = createTokenizer(readTokenizer(source.name, metadata));
  const count = (text: string): number => tokenizer.encode(text).length + 1;
  return (length, seed) => {
    let text = WORDS[seed % WORDS.length];
    for (let i = 1; count(text) < length; i++) {
      const longer = `${text} ${WORDS[(seed + i * (1 + (i % 5))) % WORDS.length]}`;
      // A word may take several tokens. Letters fill up the rest.
      text = count(longer) <= length ? longer : `${text} a`;
    }
    if (count(text) !== length) throw new Error(`There is no prompt of ${length} tokens. Pass another --prompts.`);
    return text;
  };
}

/** Opens contenders one inside the other, so that all are open during `work`. */
async function openAll(
  openers: Opener[],
  work: (opened: Contender[]) => Promise<void>,
  opened: Contender[] = [],
): Promise<void> {
  const [first, ...rest] = openers;
  await (first ? first((contender) => openAll(rest, work, [...opened, contender])) : work(opened));
}

/** One round of one contender. Fails if it counts the tokens of a prompt differently. */
async function measure({ name, generate }: Contender, prompts: string[]): Promise<[string, number][]> {
  const rates: [string, number][] = [];
  for (const [i, text] of prompts.entries()) {
    const answer = await generate({ text, maxTokens: i === 0 ? tokens : 1 });
    if (answer.promptTokens !== lengths[i])
      throw new Error(`${name} counts ${answer.promptTokens} tokens in a prompt of ${lengths[i]}.`);
    rates.push([`prefill of ${lengths[i]} tokens`, (answer.computedTokens * 1000) / answer.promptMs]);
    if (i === 0) rates.push(['decode', (answer.tokens * 1000) / answer.decodeMs]);
  }
  return rates;
}

async function openers(): Promise<Opener[]> {
  const all = [...llamaThreads.map((threads) => llamaCppWasm(setup, threads)), mixtab('cpu', setup, mixtabThreads)];
  if (values.gpu) all.push(mixtab('gpu', setup));
  const native = values.native ? await importNodeLlamaCpp() : undefined;
  if (native) all.push(...llamaThreads.map((threads) => llamaCppNative(native, setup, threads)));
  else if (values.native)
    console.error(
      '--native is skipped: node-llama-cpp is missing. npm install --no-save node-llama-cpp@3 installs it.',
    );
  return all;
}

const promptOf = promptMaker();
const results = new Map<string, Measured>();
await openAll(await openers(), async (contenders) => {
  for (let round = 0; round <= rounds; round++) {
    const prompts = lengths.map((length, i) => promptOf(length, round * lengths.length + i));
    for (const contender of contenders) {
      const measured = results.get(contender.name) ?? new Map<string, Rates>();
      results.set(contender.name, measured);
      const rates = await measure(contender, prompts);
      console.error(
        `${round === 0 ? 'warm-up' : `round ${round}`}, ${contender.name}: ` +
          rates.map(([what, rate]) => `${what} ${rate.toFixed(1)}`).join(', '),
      );
      if (round > 0) for (const [what, rate] of rates) measured.set(what, [...(measured.get(what) ?? []), rate]);
    }
  }
});

const spread = (rates: Rates) => {
  const sorted = rates.toSorted((a, b) => a - b);
  return { min: sorted[0], median: sorted[sorted.length >> 1], max: sorted[sorted.length - 1], rates };
};
const rows = [...results].flatMap(([name, measured]) =>
  [...measured].map(([what, rates]) => ({ name, what, ...spread(rates) })),
);
const medianOf = (name: string, what: string): number =>
  rows.find((row) => row.name === name && row.what === what)!.median;
/** Every mixtab row beside every llama.cpp row. */
const ratios = rows
  .filter(({ name }) => name.startsWith('mixtab'))
  .flatMap(({ name, what, median }) =>
    [...results.keys()]
      .filter((other) => other.startsWith('llama.cpp'))
      .map((other) => ({ what, name, other, ratio: median / medianOf(other, what) })),
  );
if (values.json) {
  console.log(JSON.stringify({ model: basename(path), rounds, lengths, tokens, rows, ratios }));
} else {
  console.log('| tokens/s | | min | median | max |\n|---|---|---|---|---|');
  for (const { name, what, min, median, max } of rows)
    console.log(`| ${name} | ${what} | ${[min, median, max].map((rate) => rate.toFixed(1)).join(' | ')} |`);
  console.log('\n| ratio of medians | | |\n|---|---|---|');
  for (const { what, name, other, ratio } of ratios)
    console.log(`| ${what} | ${name} / ${other} | ${ratio.toFixed(2)} |`);
}
