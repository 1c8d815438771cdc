/** The page of bench/sessions.ts: runs a model with a large KV cache in the page's own workers. */
import { createEngineClient, createImportClient } from '../src/connect/worker-clients.ts';
import { proxy } from '../src/contract/rpc.ts';
import { SYNTH_PRESETS } from '../workers/synth/presets.ts';
import { createSynth } from '../workers/synth/synth.ts';

interface Round {
  tokens: number;
  bytes: number;
  /** Time that a restored session saves. */
  prefillMs: number;
  saveMs: number;
  restoreMs: number;
}

const engine = createEngineClient().api;
const importer = createImportClient().api;
const quiet = proxy(() => {});

async function timed<T>(work: () => Promise<T>): Promise<[T, number]> {
  const started = performance.now();
  const result = await work();
  return [result, performance.now() - started];
}

/** Mixtral's keys and values (8 heads of 128) in 16 instead of 32 layers, 64 KiB per token, and little else. */
async function run(lengths: readonly number[]): Promise<Round[]> {
  const synth = createSynth({
    ...SYNTH_PRESETS.tiny,
    layers: 16,
    headCount: 8,
    kvHeadCount: 8,
    headDim: 128,
    contextLength: 8192,
  });
  const file = new File([synth.read(0, synth.size)], 'sessions.gguf');
  const { id: modelId } = await importer.import({ kind: 'file', files: [file] }, quiet);
  await engine.load({ modelId, context: 8192 }, quiet);
  const rounds: Round[] = [];
  for (const length of lengths) {
    // Different first words each time, so that no prefix is reused.
    const text = `${length} ${'the first men of that day had been there before us and '.repeat(length)}`;
    const ids = await engine.tokenize(text);
    const perCharacter = ids.length / text.length;
    const prompt = text.slice(0, Math.floor(length / perCharacter));
    const { promptTokens, timings } = await engine.generate(
      { input: { kind: 'text', text: prompt }, maxTokens: 1 },
      quiet,
    );
    const [bytes, saveMs] = await timed(() => engine.saveSession('bench', 4e9));
    const [, restoreMs] = await timed(() => engine.restoreSession('bench'));
    rounds.push({ tokens: promptTokens.length, bytes, prefillMs: timings.prefillMs, saveMs, restoreMs });
  }
  return rounds;
}

export interface BenchPage {
  run: typeof run;
}
Object.assign(globalThis, { bench: { run } satisfies BenchPage });
