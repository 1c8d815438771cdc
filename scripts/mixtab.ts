/** The command line, `npm run -s mixtab -- COMMAND`. USAGE in cli/options.ts lists the commands and options. */
import { createWriteStream, existsSync, openAsBlob, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { LoadRequest } from '../src/contract/engine-api.ts';
import { errorToData, MixtabError } from '../src/contract/errors.ts';
import { expectSpeed } from '../src/page/library/expected-speed.ts';
import { readConfig } from '../workers/format/gguf/config.ts';
import { readHeader } from '../workers/format/gguf/header.ts';
import { inspectFile } from '../workers/format/gguf/inspect.ts';
import { splitName } from '../workers/format/gguf/split.ts';
import { readTokenizer } from '../workers/format/gguf/tokenizer-data.ts';
import type { ByteSource } from '../workers/import/byte-source.ts';
import { openFiles, openUrl } from '../workers/import/model-source.ts';
import { createSplitSynth, createSynth, type SynthFile } from '../workers/synth/synth.ts';
import { createTokenizer } from '../workers/text/create-tokenizer.ts';
import { generateInBrowser, type ModelArgument, scoreInBrowser } from './cli/browser.ts';
import { cacheBench, cacheBenchTable } from './cli/cache-bench.ts';
import { describeModel, deviceFigures, inspectionJson } from './cli/describe.ts';
import { commandOf, type LoadOptions, type Options, parseOptions, USAGE } from './cli/options.ts';
import { partPaths } from './cli/part-paths.ts';
import { routingOptions } from './cli/routing-options.ts';
import { serve, syntheticRanged } from './cli/server.ts';
import { synthOptions } from './cli/synth-options.ts';
import { ROOT } from './dependencies.mjs';

const BUILTIN = join(ROOT, 'public', 'models', 'builtin.gguf');

function modelArgument(model: string): ModelArgument {
  if (model === 'builtin') return { kind: 'builtin' };
  if (/^https?:\/\//.test(model)) return { kind: 'url', url: model };
  if (existsSync(model)) return { kind: 'file', path: model };
  throw new MixtabError('source-unreachable', `There is no file ${model}.`, 'Pass a path, a URL or builtin.');
}

async function openModel(model: string): Promise<ByteSource> {
  const argument = modelArgument(model);
  if (argument.kind === 'url') return openUrl(argument.url);
  const paths = argument.kind === 'builtin' ? [BUILTIN] : partPaths(argument.path);
  return openFiles(
    await Promise.all(paths.map(async (path) => ({ blob: await openAsBlob(path), name: basename(path) }))),
  );
}

function readText(path: string): string {
  if (!existsSync(path)) throw new MixtabError('bad-request', `There is no file ${path}.`, 'Check the path.');
  return readFileSync(path, 'utf8');
}

function readJson(path: string): Record<string, unknown> {
  try {
    return JSON.parse(readText(path)) as Record<string, unknown>;
  } catch (error) {
    if (error instanceof MixtabError) throw error;
    throw new MixtabError(
      'bad-request',
      `${path} is not valid JSON: ${(error as Error).message.slice(0, 100)}.`,
      'Correct the file.',
    );
  }
}

const print = (value: unknown): void => console.log(JSON.stringify(value));

/** The options of a command as options of a load request. */
function loadOptions(options: LoadOptions): Omit<LoadRequest, 'modelId'> {
  const { context, compute, threads, 'gpu-budget': gpuBudget, 'ram-budget': ramBudget } = options;
  return {
    ...(compute !== undefined && { compute }),
    ...(threads !== undefined && { threads }),
    ...(context !== undefined && { context }),
    ...(gpuBudget !== undefined && { gpuBudgetBytes: gpuBudget * 1e6 }),
    ...(ramBudget !== undefined && { ramBudgetBytes: ramBudget * 1e6, cpuBudgetBytes: ramBudget * 1e6 }),
  };
}

async function perplexity(options: Options<'perplexity'>): Promise<void> {
  const text = readText(options['text-file']);
  const context = options.context ?? 512;
  const { trace, ...result } = await scoreInBrowser(
    modelArgument(options.model),
    loadOptions({ ...options, context }),
    { input: { kind: 'text', text }, context, ...routingOptions(options), trace: options['trace-out'] !== undefined },
    options.json ? undefined : (done, total) => void process.stderr.write(`\r${done} of ${total} tokens`),
  );
  if (options['trace-out'] !== undefined && trace) writeFileSync(options['trace-out'], Uint8Array.from(trace));
  if (options.json) {
    print(result);
    return;
  }
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  console.log(
    [
      `\r${result.tokens} tokens: perplexity ${result.perplexity.toFixed(4)}, ${result.nll.toFixed(4)} nats per token, ${result.bitsPerByte.toFixed(4)} bits per byte`,
      ...result.routing.map(
        ({ use, sameFirst, sameAny }, layer) =>
          `layer ${layer}: use ${use.map(percent).join(' ')}; same first expert as the previous token ${percent(sameFirst)}, any in common ${percent(sameAny)}`,
      ),
    ].join('\n'),
  );
}

async function bench(options: Options<'bench'>): Promise<void> {
  const text = readText(options['text-file']);
  const context = options.context ?? 512;
  const model = modelArgument(options.model);
  const { metadata } = await readHeader(await openModel(options.model));
  const { expertsPerToken } = readConfig(options.model, metadata);
  const { trace, routing, compute, adapter } = await scoreInBrowser(model, loadOptions({ ...options, context }), {
    input: { kind: 'text', text },
    context,
    trace: true,
  });
  const result = cacheBench(routing, trace ?? [], expertsPerToken);
  if (options.json) print({ ...result, compute, adapter });
  else console.log(`${result.tokens} tokens of ${options['text-file']}\n\n${cacheBenchTable(result)}`);
}

async function generate(options: Options<'generate'>): Promise<void> {
  const { prompt, json } = options;
  const result = await generateInBrowser(
    modelArgument(options.model),
    loadOptions(options),
    {
      input: options.chat
        ? { kind: 'chat', messages: [{ role: 'user', content: prompt }] }
        : { kind: 'text', text: prompt },
      maxTokens: options['max-tokens'],
      sampling: {
        temperature: options.temperature ?? 0,
        topK: options['top-k'] ?? 0,
        topP: options['top-p'] ?? 1,
        minP: options['min-p'] ?? 0,
        repetitionPenalty: options['repetition-penalty'] ?? 1,
        ...(options.seed !== undefined && { seed: options.seed }),
      },
      ignoreEos: options['ignore-eos'] ?? false,
      ...(options['top-logprobs'] !== undefined && { topLogprobs: options['top-logprobs'] }),
      ...(options['json-schema'] !== undefined && {
        format: { type: 'json', schema: readJson(options['json-schema']) },
      }),
      ...routingOptions(options),
    },
    json ? undefined : (text) => void process.stdout.write(text),
  );
  if (json) print(result);
  else process.stdout.write('\n');
}

async function tokenize(options: Options<'tokenize'>): Promise<void> {
  const text = readText(options['text-file']);
  const source = await openModel(options.model);
  const { metadata } = await readHeader(source);
  const ids = createTokenizer(readTokenizer(source.name, metadata)).encode(text);
  if (options.json) print({ ids });
  else console.log(ids.join(' '));
}

async function inspect(options: Options<'inspect'>): Promise<void> {
  const inspection = await inspectFile(await openModel(options.model));
  const device = deviceFigures(options);
  const expected = expectSpeed(inspection.figures, inspection.config, device, options.context);
  if (options.json) print(inspectionJson(inspection, device, expected));
  else console.log(describeModel(inspection, device, expected));
}

async function synth(options: Options<'synth'>): Promise<void> {
  if ((options.out === undefined) === (options.serve === undefined)) {
    throw new MixtabError('bad-request', 'synth needs either --out FILE or --serve PORT.', 'Pass exactly one of them.');
  }
  const files = synthFiles(options);
  const bytes = files.reduce((sum, { file }) => sum + file.size, 0);
  if (options.out !== undefined) {
    for (const { name, file } of files) {
      await pipeline(
        syntheticRanged(file).stream(0, file.size - 1),
        createWriteStream(join(dirname(options.out), name)),
      );
    }
    const out = join(dirname(options.out), files[0].name);
    if (options.json) print({ out, bytes });
    else console.log(`${out}: ${bytes} bytes${files.length > 1 ? ` in ${files.length} files` : ''}`);
    return;
  }
  const ranged = Object.fromEntries(files.map(({ name, file }) => [`/${name}`, syntheticRanged(file)]));
  const { origin } = await serve(undefined, ranged, options.serve);
  const url = `${origin}/${files[0].name}`;
  if (options.json) print({ url, bytes });
  else console.log(`${url}: ${bytes} bytes; press Ctrl-C to stop`);
  await new Promise(() => {}); // serves until the process is stopped
}

/** The files to write or serve, with their names: one, or with --split several parts. */
function synthFiles(options: Options<'synth'>): { name: string; file: SynthFile }[] {
  const name = options.out === undefined ? 'model.gguf' : basename(options.out);
  const { split: count = 1 } = options;
  try {
    if (count <= 1) return [{ name, file: createSynth(synthOptions(options)) }];
    const prefix = name.replace(/\.gguf$/i, '');
    return createSplitSynth(synthOptions(options), count).map((file, part) => ({
      name: splitName({ prefix, part: part + 1, count }),
      file,
    }));
  } catch (error) {
    if (error instanceof RangeError)
      throw new MixtabError('bad-request', `${error.message}.`, 'See npm run -s mixtab -- help.');
    throw error;
  }
}

async function main(argv: readonly string[]): Promise<void> {
  if (argv[0] === 'help' || argv[0] === '--help') {
    console.log(USAGE);
    return;
  }
  const command = commandOf(argv);
  const rest = argv.slice(1);
  if (command === 'generate') await generate(parseOptions(command, rest));
  else if (command === 'perplexity') await perplexity(parseOptions(command, rest));
  else if (command === 'bench') await bench(parseOptions(command, rest));
  else if (command === 'tokenize') await tokenize(parseOptions(command, rest));
  else if (command === 'inspect') await inspect(parseOptions(command, rest));
  else await synth(parseOptions(command, rest));
}

main(process.argv.slice(2)).catch((error: unknown) => {
  const { message, remedy } = errorToData(error);
  console.error(`mixtab: ${message} ${remedy}`.replaceAll('\n', ' ').trimEnd());
  process.exitCode = 1;
});
