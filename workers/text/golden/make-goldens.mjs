/**
 * Writes the tokens that llama.cpp makes of difficult texts:
 * - builtin-vocabulary.json with the built-in model's vocabulary;
 * - byte-bpe.json with synthetic byte-level vocabularies, one per pre-tokenizer;
 * - bare.json with a synthetic SentencePiece vocabulary without the dummy space and with user-defined tokens.
 *
 * A tool for developers, not run by the tests:
 *   npm install --no-save node-llama-cpp@3
 *   for pre in default gpt-2 llama-bpe smaug-bpe qwen2 tekken; do
 *     npm run -s mixtab -- synth --out /tmp/$pre.gguf --vocab 1024 --layers 1 --pre $pre
 *   done
 *   npm run -s mixtab -- synth --out /tmp/bare.gguf --layers 1 --no-space-prefix --user-defined '<tool>,th e,  '
 *   node workers/text/golden/make-goldens.mjs /tmp
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getLlama } from 'node-llama-cpp';

const TEXTS = [
  '',
  ' ',
  '  ',
  '   ',
  'a',
  ' a',
  'a ',
  '  a  b ',
  'Hello',
  ' Hello',
  'Hello world',
  'Hello  world',
  'Hello\nworld',
  '\n',
  '\n\n',
  '\n\n\n a',
  '\t',
  'a\tb',
  '\r\n',
  ' \n \n ',
  'Once upon a time',
  'Once upon a time, there was a little girl.',
  '"Where have you been?" she asked.',
  "I don't know; it's his.",
  'UPPER CASE and lower',
  'MiXeD CaSe',
  'antidisestablishmentarianism',
  'aaaaaaaaaaaaaaaaaaaaaaaa',
  'thethethethethe',
  'the the the',
  ' the',
  'th e',
  '0',
  '1234567890',
  '3.14159',
  '1,000,000',
  '12:30 p.m.',
  '2026-11-23',
  '$5.00',
  '50%',
  'a+b=c',
  'x^2',
  '#hash @at',
  'foo_bar',
  'foo-bar',
  'e-mail@example.com',
  'https://example.org/a?b=c&d=e#f',
  '<s>',
  '</s>',
  '<unk>',
  '<0x0A>',
  '[INST] hi [/INST]',
  '<|book|>',
  '{"a": [1, 2]}',
  'def f(x):\n    return x + 1\n',
  'café',
  'cafe\u0301',
  'naïve façade',
  'Ünïcödé',
  'ß',
  'Straße',
  'œuvre',
  'São Paulo',
  'Привет, мир',
  'Ελληνικά',
  'שלום',
  'مرحبا',
  'नमस्ते',
  'ไทย',
  '你好，世界',
  'こんにちは',
  '안녕하세요',
  '😀',
  '👩‍👩‍👧‍👦',
  '🏳️‍🌈',
  '🇫🇷',
  'a😀b',
  '\u00a0',
  'a\u00a0b',
  '\u200b',
  '\ufeffBOM',
  '\u2581',
  'a\u2581b',
  '\u2028',
  '\ufffd',
  '𝒳',
  '𠀀',
  '–—…',
  '“quoted”',
  '‘single’',
  '«guillemets»',
  '...',
  '!!!',
  '?!',
  '--',
  '---',
  '* * *',
  '  indented',
  'trailing   ',
  'tab\there',
  'mixed \t\n space',
  'A. B. C.',
  'Mr. and Mrs. Smith',
  "o'clock",
  "'tis",
  'rock-and-roll',
  'It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness.',
  'He said:\n\n"No."\n\nAnd left.',
  'line one\nline two\n\nparagraph two',
  'a\u0000b',
  '\u0007',
  '\u001b[0m',
  'Ab' + 'c'.repeat(100),
  ' '.repeat(40),
  'word '.repeat(30),
  '\u0301\u0301\u0301',
  "IT'S",
  "he'll She'LL",
  '123 1234567',
  'the  \n\n  the',
  'HTTPServer iPhone',
  '¿Qué? ÉCOLE École',
  'a\u3000b',
  '٣٤٥ ⅔ Ⅷ',
  'x/\n/y',
  '$$ ++ <=>',
  'the.The THE',
  'a<tool>the',
  '<tool>',
  ' th e the',
  'a  b',
  '\u0085\u00a0 x',
];

const root = join(import.meta.dirname, '..', '..', '..');
const llama = await getLlama({ gpu: false, build: 'never' });
async function goldens(modelPath) {
  const model = await llama.loadModel({ modelPath });
  const cases = TEXTS.map((text) => ({
    text,
    ids: [...model.tokenize(text, false)],
    special: [...model.tokenize(text, true)],
  }));
  await model.dispose();
  return cases;
}

const write = (name, lines) =>
  writeFileSync(join(import.meta.dirname, name), `[\n${lines.map((line) => JSON.stringify(line)).join(',\n')}\n]\n`);
write('builtin-vocabulary.json', await goldens(join(root, 'public', 'models', 'builtin.gguf')));
const folder = process.argv[2];
if (folder) {
  const all = [];
  for (const pre of ['default', 'gpt-2', 'llama-bpe', 'smaug-bpe', 'qwen2', 'tekken']) {
    for (const { text, ids } of await goldens(join(folder, `${pre}.gguf`))) all.push({ pre, text, ids });
  }
  write('byte-bpe.json', all);
  write('bare.json', await goldens(join(folder, 'bare.gguf')));
}
process.exit();
