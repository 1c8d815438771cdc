/**
 * Writes llama-cpp.json: the log-probabilities that llama.cpp gives to the likeliest tokens after each token of a
 * synthetic model, with weights, keys and values in F32.
 *
 * A tool for developers, not run by the tests:
 *   npm install --no-save node-llama-cpp@3
 *   npm run -s mixtab -- synth --out /tmp/reference.gguf --layers 3 --dim 64 --ffn 96 --heads 4 --kv-heads 2 \
 *     --experts 4 --vocab 400 --type F32 --seed 3
 *   node workers/reference/golden/make-goldens.mjs /tmp/reference.gguf
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getLlama } from 'node-llama-cpp';

/** BOS and ordinary tokens, some of them twice. */
const TOKENS = [1, 280, 290, 263, 270, 399, 263, 314, 314, 352, 300, 277, 390, 1, 265, 280];
const TOP = 5;

const llama = await getLlama({ gpu: false, build: 'never' });
const model = await llama.loadModel({ modelPath: process.argv[2] });
const context = await model.createContext({
  contextSize: 256,
  threads: 1,
  flashAttention: false,
  experimentalKvCacheKeyType: 'F32',
  experimentalKvCacheValueType: 'F32',
});
// Neither cut nor sharpened.
const options = { temperature: 1, topK: 0, topP: 1, minP: 0 };
const input = TOKENS.map((token) => [token, { generateNext: { probabilities: true, options } }]);
const steps = (await context.getSequence().controlledEvaluate(input)).map(({ next }) =>
  [...next.probabilities]
    .sort(([, a], [, b]) => b - a)
    .slice(0, TOP)
    .map(([id, probability]) => ({ id, logprob: Number(Math.log(probability).toFixed(6)) })),
);
const lines = steps.map((top, i) => JSON.stringify({ token: TOKENS[i], next: top }));
writeFileSync(join(import.meta.dirname, 'llama-cpp.json'), `[\n  ${lines.join(',\n  ')}\n]\n`);
process.exit();
